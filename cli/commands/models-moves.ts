import type { Command } from 'commander';
import type { ModelHistory } from '../../infrastructure/registry/history.ts';
import type { Appended, Change, ModelRegistry } from '../../infrastructure/registry/models.ts';
import { eventTimeFinished } from '../../monitoring/progress.ts';
import { mustScore } from '../../pipelines/rollout/can-score.ts';
import { lookAtGuard } from '../../pipelines/rollout/guard.ts';
import {
  type Author,
  beforeOf,
  promote,
  retire,
  rollBack,
  toChallenger,
} from '../../pipelines/rollout/moves.ts';
import { lookAtShadow } from '../../pipelines/rollout/shadow.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { type CommandContext, examples, type Runner } from '../command.ts';
import { UsageError } from '../errors.ts';
import { instant } from '../format.ts';
import { readable, reasonOf, registryOf, versionArgument } from '../model-registry.ts';
import { instantOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { modelOf } from './predictions.ts';

interface MoveOptions {
  readonly model?: string;
  readonly reason?: string;
  readonly effectiveFrom?: number;
  readonly guard?: boolean;
}

interface JudgeOptions {
  readonly model?: string;
  readonly asOf?: number;
}

/** Changes by hand. Each is fenced: where another writer changed the model meanwhile, nothing happens. */
export function registerMoves(group: Command, run: Runner): void {
  // An option that the group knows too is taken by the group, wherever it stands.
  const own = <O extends object>(options: O): O => ({ ...group.opts<O>(), ...options });
  const onVersion = (
    act: (context: CommandContext, version: number, options: MoveOptions) => Promise<void>,
  ) =>
    run((context: CommandContext, version: number, options: MoveOptions) =>
      act(context, version, own(options)),
    );
  const move = (name: string, description: string) =>
    group
      .command(name)
      .description(description)
      .option('--model <name>', "default: the project's only one")
      .option('--reason <text>', 'why, in one sentence; required')
      .option(
        '--effective-from <time>',
        'first request, by event time, that it holds for (default: at once, for every request not yet answered)',
        instantOption,
      );
  move('shadow', 'score a candidate beside the champion, on live requests')
    .argument('<version>', 'a candidate', versionArgument)
    .addHelpText(
      'after',
      examples([
        "millrace models shadow 2 --reason 'imported, to be tried'",
        'until a test or a hand decides',
      ]),
    )
    .action(onVersion(shadow));
  move(
    'promote',
    'make a candidate or challenger the champion; the one before it goes on in the shadow as its guard',
  )
    .argument('<version>', 'a candidate or challenger', versionArgument)
    .option('--no-guard', 'retire the champion before it at once: nothing is there to roll back by itself')
    .addHelpText(
      'after',
      examples(
        ["millrace models promote 3 --reason 'reviewed with the team'", 'from now on'],
        [
          "millrace models promote 3 --reason 'new timetable' --effective-from 2001-04-01",
          'for requests from that day on',
        ],
      ),
    )
    .action(onVersion(promoteByHand));
  move('rollback', 'bring back the champion before this one; this one retires')
    .addHelpText(
      'after',
      examples(["millrace models rollback --reason 'scores look wrong since noon'", 'from now on']),
    )
    .action(run((context: CommandContext, options: MoveOptions) => rollback(context, own(options))));
  move('retire', 'take a candidate or challenger out')
    .argument('<version>', 'a candidate or challenger', versionArgument)
    .addHelpText(
      'after',
      examples(["millrace models retire 2 --reason 'trained on bad labels'", 'never to score']),
    )
    .action(onVersion(retireByHand));
  group
    .command('judge')
    .argument('[version]', 'a challenger; default: the guard of the champion', versionArgument)
    .description('how a shadow test, or the watch over a new champion, stands; changes nothing')
    .option('--model <name>', "default: the project's only one")
    .option(
      '--as-of <time>',
      'event time up to which it looks (default: as far as it is finished)',
      instantOption,
    )
    .addHelpText(
      'after',
      examples(
        ['millrace models judge 3', 'promote, keep watching or refuse, and why'],
        ['millrace models judge', 'whether the champion keeps its promises'],
      ),
    )
    .action(
      run((context: CommandContext, version: number | undefined, options: JudgeOptions) =>
        judge(context, version, own(options)),
      ),
    );
}

interface Session {
  readonly context: CommandContext;
  readonly project: Project;
  readonly model: Model;
  readonly platform: Platform;
  readonly registry: ModelRegistry;
  readonly author: Author;
}

async function change(
  context: CommandContext,
  command: string,
  options: MoveOptions,
  decide: (session: Session) => Promise<(history: ModelHistory) => readonly Change[]>,
): Promise<void> {
  const reason = reasonOf(options.reason, command);
  const project = openProject(context);
  const model = modelOf(project, options.model);
  const platform = openPlatform(context, project);
  try {
    const registry = await registryOf(platform, project.prefix);
    const { USER, USERNAME } = context.environment.variables;
    const author: Author = {
      by: `${USER ?? USERNAME ?? 'somebody'}, by hand`,
      reason,
      effectiveFrom: options.effectiveFrom ?? null,
    };
    const decided = await decide({ context, project, model, platform, registry, author });
    tell(context, await registry.append(model.name, decided));
  } finally {
    await platform.close();
  }
}

function tell({ output }: CommandContext, { changes, history }: Appended): void {
  if (output.isJson) {
    output.json(changes.map(readable));
    return;
  }
  for (const { version, state, former, effectiveFrom, change: number } of changes) {
    const from = effectiveFrom === null ? 'at once' : `for requests from ${instant(effectiveFrom)} on`;
    output.line(`Version ${version} of ${history.model} is ${state}, ${from} (change ${number}).`);
    if (former !== null) {
      // The same change may retire a guard as well: the champion before is whom the log last made one.
      const before = history.changes.findLast((one) => one.state === 'champion' && one.change < number);
      const becomes = former === 'challenger' ? 'goes on in the shadow as its guard' : 'is retired';
      if (before !== undefined) output.line(`Version ${before.version}, the champion before, ${becomes}.`);
    }
  }
}

const scores = ({ platform, model, registry }: Session, version: number) =>
  mustScore(model, registry, platform.artefacts, version);

const shadow = (context: CommandContext, version: number, options: MoveOptions) =>
  change(context, `shadow ${version}`, options, async (session) => {
    await scores(session, version);
    return toChallenger(version, session.author);
  });

const promoteByHand = (context: CommandContext, version: number, options: MoveOptions) =>
  change(context, `promote ${version}`, options, async (session) => {
    await scores(session, version);
    return promote(version, session.author, options.guard ?? true);
  });

const rollback = (context: CommandContext, options: MoveOptions) =>
  change(context, 'rollback', options, async (session) => {
    const before = beforeOf(await session.registry.history(session.model.name));
    if (before !== null) await scores(session, before.version);
    return rollBack(session.author);
  });

const retireByHand = (context: CommandContext, version: number, options: MoveOptions) =>
  change(context, `retire ${version}`, options, async ({ author }) => retire(version, author));

async function judge(
  context: CommandContext,
  version: number | undefined,
  options: JudgeOptions,
): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const model = modelOf(project, options.model);
  const platform = openPlatform(context, project);
  try {
    const { warehouse } = platform;
    const registry = await registryOf(platform, project.prefix);
    const upTo = options.asOf ?? (await finishedTime(platform, project, model));
    const deps = { project, warehouse, registry };
    const seen =
      version === undefined
        ? await lookAtGuard(deps, { model, upTo })
        : await lookAtShadow(deps, { model, upTo, version });
    if (output.isJson) return output.json({ ...seen, upTo });
    const decided =
      version !== undefined && seen.change !== null
        ? `Version ${version} is in no test: change ${seen.change.change} made it ${seen.change.state}: `
        : '';
    output.line(`${decided}${seen.sentence} (as of ${instant(upTo)})`);
  } finally {
    await platform.close();
  }
}

/** What the pipelines look up to, in between two ticks. */
async function finishedTime({ warehouse, clock }: Platform, project: Project, model: Model): Promise<number> {
  const finished = await eventTimeFinished({ project, warehouse, now: clock.now() }, model);
  if (finished === null || !Number.isFinite(finished))
    throw new UsageError(
      `Nothing of ${model.name} is archived yet: say up to when with --as-of, or run the archive.`,
    );
  return finished;
}
