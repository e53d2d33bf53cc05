import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { compileFix } from '../../config/fix.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { type DryRun, dryRun } from '../../streams/letters/dry-run.ts';
import type { FeatureEffect } from '../../streams/letters/effect.ts';
import { createFix } from '../../streams/letters/fix.ts';
import { type LetterGroup, MEANINGS, totalOf } from '../../streams/letters/groups.ts';
import type { Fix } from '../../streams/letters/letter.ts';
import {
  type LetterReplay,
  type LettersDeps,
  type ReplayedLetters,
  replayLetters,
} from '../../streams/letters/replay.ts';
import { type CommandContext, examples } from '../command.ts';
import { UsageError } from '../errors.ts';
import { count } from '../format.ts';
import { instantOption, wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { sourcesOf } from '../sources.ts';

interface Options {
  readonly dryRun?: boolean;
  readonly apply?: boolean;
  readonly reason?: string;
  readonly since?: number;
  readonly event?: string;
  readonly fix?: string;
  readonly note?: string;
  readonly effect: boolean;
  readonly limit: number;
}

type Run = Parameters<import('../command.ts').Register>[1];

export function registerReplay(group: Command, run: Run): void {
  group
    .command('replay')
    .argument('[source]', 'one source; default: all')
    .description('send dead letters again that would be accepted now; late ones go into history')
    .option('--dry-run', 'only tell what would become of them')
    .option('--apply', 'do it; a letter comes back once, however often this runs')
    .option('--reason <code>', 'only this reason, e.g. rule_failed')
    .option('--since <time>', 'only those refused from here', instantOption)
    .option('--event <id>', 'only this event')
    .option('--fix <file>', 'YAML that mends their events: fields by expressions, or another mapping')
    .option('--no-effect', 'do not work out which features and decisions would change')
    .option('--note <text>', 'why; kept with every letter that comes back')
    .option('--limit <n>', 'how many of a source, the oldest first', wholeOption(1), 100_000)
    .addHelpText(
      'after',
      examples(
        ['millrace dead-letters replay --dry-run --reason rule_failed', 'after a rule was mended'],
        ['millrace dead-letters replay payments --apply --fix cents.yaml', 'amounts came in cents'],
      ),
    )
    .action(run(replay));
}

async function replay(context: CommandContext, name: string | undefined, options: Options): Promise<void> {
  const { output } = context;
  if ((options.dryRun === true) === (options.apply === true))
    throw new UsageError('Say --dry-run to see what would become of dead letters, or --apply to do it.');
  const project = openProject(context);
  const sources = sourcesNamed(project, name);
  const fix = options.fix === undefined ? null : readFix(project, sources, options.fix);
  const platform = openPlatform(context, project);
  try {
    const { kafka, warehouse, store, clock } = platform;
    const deps: LettersDeps = { project, kafka, warehouse, store, clock, codecs: await platform.codecs() };
    const { USER, USERNAME } = context.environment.variables;
    const { reason = null, since = null, event = null, limit, note = '' } = options;
    const replays = sources.map(
      (source): LetterReplay => ({
        source,
        fix,
        selection: { reason, since, event, limit },
        reason: note,
        who: `${USER ?? USERNAME ?? 'somebody'}, by hand`,
      }),
    );
    if (options.apply === true) printDone(context, await replayLetters(deps, replays));
    else {
      const { artefacts } = platform;
      const found = await dryRun({ ...deps, artefacts, now: clock.now() }, replays, options.effect);
      if (output.isJson) output.json({ applied: false, sent: 0, history: 0, ...found });
      else printDryRun(context, found);
    }
  } finally {
    await platform.close();
  }
}

function printDone(context: CommandContext, done: readonly ReplayedLetters[]): void {
  const { output } = context;
  const { sent, history, letters } = totalOf(done);
  if (output.isJson) {
    output.json({ applied: true, sent, history, letters });
    return;
  }
  print(context, letters);
  output.line(
    `${count(sent)} sent again; ${count(history)} put into history. See 'millrace dead-letters ls' for what is refused again.`,
  );
}

function printDryRun(context: CommandContext, { letters, effect }: DryRun): void {
  const { output } = context;
  print(context, letters);
  for (const { view, entities, looked, changed, example } of effect?.features ?? []) {
    const of = looked < entities ? `${count(looked)} of ${count(entities)}` : count(entities);
    output.line(
      changed.length === 0
        ? `View ${view}: no feature of ${of} entities changes; their windows are over.`
        : `View ${view}: ${changed.map(({ feature, entities: n }) => `${feature} (${count(n)})`).join(', ')} of ${of} entities change, ${changeOf(example)}.`,
    );
  }
  for (const { model, asked, looked, vectors, decisions, example } of effect?.decisions ?? []) {
    output.line(`Model ${model}: ${count(asked)} of the letters are requests that would be answered.`);
    const other =
      decisions === null ? 'there is no champion to decide' : `${count(decisions)} other decisions`;
    if (looked > 0)
      output.line(
        `  Of ${count(looked)} past requests after them ${count(vectors)} would have had other features, and ${other}${example === null ? '' : `, ${changeOf(example)}`}. Past answers stay as they are.`,
      );
  }
}

function changeOf(example: FeatureEffect['example']): string {
  if (example === null) return 'for example none';
  const { of, before, after } = example;
  return `for example ${of} from ${before ?? 'null'} to ${after ?? 'null'}`;
}

function sourcesNamed(project: Project, name: string | undefined): Source[] {
  const names = sourcesOf(project, name);
  return project.sources.filter((source) => names.includes(source.name));
}

function readFix(project: Project, [source, other]: readonly Source[], file: string): Fix {
  if (source === undefined || other !== undefined)
    throw new UsageError(
      'A fix is made for one source: name it, as in millrace dead-letters replay payments.',
    );
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`The fix ${file} cannot be read: ${(error as Error).message}.`);
  }
  return createFix(source, project.prefix, compileFix(file, text, source));
}

function print({ output }: CommandContext, groups: readonly LetterGroup[]): void {
  if (groups.length === 0) {
    output.line('There is none.');
    return;
  }
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
}
