import type { Command } from 'commander';
import { type Judged, OUTCOMES, type Outcome } from '../../streams/letters/judge.ts';
import { type Letter, lookAtLetters } from '../../streams/letters/look.ts';
import { type CommandContext, examples } from '../command.ts';
import { UsageError } from '../errors.ts';
import { count } from '../format.ts';
import { instantOption, wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { sourcesOf } from '../sources.ts';

interface Options {
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly since?: number;
  readonly event?: string;
  readonly limit: number;
}

type Run = Parameters<import('../command.ts').Register>[1];

export function registerReplay(group: Command, run: Run): void {
  group
    .command('replay')
    .argument('[source]', 'one source; default: all')
    .description('what dead letters would become if their records came again now; sends nothing')
    .option('--dry-run', 'needed: this version only tells, it sends nothing')
    .option('--reason <code>', 'only this reason, e.g. rule_failed')
    .option('--since <time>', 'only those refused from here', instantOption)
    .option('--event <id>', 'only this event')
    .option('--limit <n>', 'how many of a source, the oldest first', wholeOption(1), 100_000)
    .addHelpText(
      'after',
      examples(['millrace dead-letters replay --dry-run --reason rule_failed', 'after a rule was mended']),
    )
    .action(run(replay));
}

const MEANINGS: Readonly<Record<Outcome, string>> = {
  live: 'would be accepted',
  late: 'sound, but late by now: only history could take them',
  refused: 'would be refused again',
  repeat: 'an event of the same id was accepted, or comes before among the letters',
  gone: 'cannot come back: cut, or refused by a view or a model alone',
};

async function replay(context: CommandContext, source: string | undefined, options: Options): Promise<void> {
  const { output } = context;
  if (options.dryRun !== true)
    throw new UsageError(
      'Dead letters do not come back by command yet: add --dry-run to see what they would become, and send those that would be accepted again from their producer.',
    );
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    const { warehouse, store, clock } = platform;
    const deps = { project, warehouse, store, codecs: await platform.codecs(), now: clock.now() };
    const { reason = null, since = null, event = null, limit } = options;
    const groups: ReturnType<typeof grouped> = [];
    for (const name of sourcesOf(project, source)) {
      const one = project.sources.find((candidate) => candidate.name === name);
      if (one === undefined) continue;
      groups.push(...grouped(name, await lookAtLetters(deps, one, { reason, since, event, limit })));
    }
    if (output.isJson) return output.json(groups);
    if (groups.length === 0) return output.line('There is none.');
    output.table(
      [
        { title: 'source' },
        { title: 'was refused as' },
        { title: 'letters', align: 'right' },
        { title: 'now' },
        { title: 'for example' },
      ],
      groups.map((group) => [
        group.source,
        group.reason,
        count(group.letters),
        group.code === null ? MEANINGS[group.outcome] : `${MEANINGS[group.outcome]} (${group.code})`,
        group.example,
      ]),
    );
  } finally {
    await platform.close();
  }
}

/** Letters of one reason and outcome together, in the order of outcomes. */
function grouped(source: string, judged: ReadonlyArray<Judged<Letter>>) {
  const groups = new Map<
    string,
    {
      source: string;
      reason: string;
      outcome: Outcome;
      code: string | null;
      letters: number;
      example: string;
    }
  >();
  for (const { letter, outcome, code, event } of judged) {
    const key = `${letter.code} ${outcome} ${code}`;
    const known = groups.get(key);
    const example = event?.id ?? `${letter.partition}:${letter.offset}`;
    if (known === undefined)
      groups.set(key, { source, reason: letter.code, outcome, code, letters: 1, example });
    else known.letters += 1;
  }
  return [...groups.values()].sort((a, b) => OUTCOMES.indexOf(a.outcome) - OUTCOMES.indexOf(b.outcome));
}
