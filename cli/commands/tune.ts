import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../config/durations.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { buildDataSets } from '../../pipelines/training/dataset.ts';
import { openMirror } from '../../pipelines/training/runs-mirror.ts';
import { NothingToLearn } from '../../pipelines/training/training.ts';
import { type Tuned, tune } from '../../pipelines/tuning/tuning.ts';
import type { Platform } from '../../platform/platform.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { count, day } from '../format.ts';
import { instantOption, wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { codeVersion } from '../version.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly budget?: number;
  readonly trials?: number;
  readonly seed?: number;
  readonly workers?: number;
  readonly from?: number;
  readonly to?: number;
  readonly fresh?: boolean;
}

const durationOption = (text: string): number => {
  const ms = parseDuration(text);
  if (ms === null || ms <= 0) throw new InvalidArgumentError('Write 90s, 5m or 1h.');
  return ms;
};

export const registerTune: Register = (program, run) => {
  program
    .command('tune')
    .argument('[model]', "default: the project's only one")
    .description("search the trainer's parameters as `search:` of the model file says; each trial is a run")
    .option('--budget <time>', 'longest time (default: what the model declares)', durationOption)
    .option('--trials <n>', 'points that are tried', wholeOption(1))
    .option('--seed <n>', 'the same seed gives the same points', wholeOption(0))
    .option('--workers <n>', 'threads that train (default: one less than processors)', wholeOption(1))
    .option('--from <time>', 'requests from here (default: what the model declares)', instantOption)
    .option('--to <time>', 'requests before this', instantOption)
    .option('--fresh', 'do not go on where an earlier tuning of the same rows and space stood')
    .addHelpText(
      'after',
      examples(
        ['millrace tune --budget 5m --trials 20', 'and paste what is printed into the model file'],
        ['millrace runs ls --kind trial', 'what was tried'],
      ),
    )
    .action(run(tuneCommand));
};

async function tuneCommand(
  context: CommandContext,
  name: string | undefined,
  options: Options,
): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context);
  const model = modelOf(project, name);
  if (model.search === null)
    throw new UsageError(
      `Model ${model.name} declares no search space: add 'search:' to its file (docs/user_guides/training.md).`,
    );
  const space = {
    ...model.search,
    ...(options.budget === undefined ? {} : { budget: options.budget }),
    ...(options.trials === undefined ? {} : { trials: options.trials }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
  const platform = openPlatform(context, project);
  try {
    const training = await rowsOf(context, platform, project, model, options);
    const workers = options.workers ?? Math.max(1, availableParallelism() - 1);
    const progress = output.progress('trials', { total: space.budget, unit: '' });
    const began = performance.now();
    let words = 'the first is under way';
    const tick = setInterval(
      () => progress.update(Math.min(space.budget, performance.now() - began), words),
      500,
    );
    let tuned: Tuned;
    try {
      tuned = await tune({
        warehouse: platform.warehouse,
        prefix: project.prefix,
        codeVersion: codeVersion(context.environment.packageDirectory),
        now: platform.clock.now,
        mirror: openMirror(project, output.warn),
        model,
        training,
        space,
        workers,
        resume: options.fresh !== true,
        signal,
        progress: ({ done, best, known }) => {
          const so =
            best === null
              ? ''
              : `, best ${best.loss.toFixed(4)} (trial ${best.trial + 1}, ${share(best.share)})`;
          words = `${done} done${known ? ' (known from before)' : ''}${so}`;
          progress.update(Math.min(space.budget, performance.now() - began), words);
        },
      });
    } catch (error) {
      clearInterval(tick);
      progress.fail();
      throw error;
    }
    clearInterval(tick);
    const { best, trials, known, outOfTime } = tuned;
    progress.done(
      `${trials.length} trainings of ${new Set(trials.map(({ trial }) => trial)).size} points${known > 0 ? `, ${known} known from before` : ''}${outOfTime ? '; out of time' : ''}`,
    );
    if (output.isJson) return output.json(tuned);
    const names = Object.keys(best.parameters);
    const shown = [...trials].sort((a, b) => b.share - a.share || a.loss - b.loss).slice(0, 10);
    output.table(
      [
        { title: 'trial', align: 'right' },
        { title: 'epochs', align: 'right' },
        { title: 'validation loss', align: 'right' },
        ...names.map((title) => ({ title: snake(title), align: 'right' as const })),
      ],
      shown.map(({ trial, share: of, loss, parameters }) => [
        String(trial + 1),
        share(of),
        Number.isNaN(loss) ? 'failed' : loss.toFixed(4),
        ...names.map((one) => text(parameters[one])),
      ]),
    );
    output.line();
    output.line(`Into models/${model.name}.yaml, under trainer:`);
    for (const one of names) output.line(`  ${snake(one)}: ${text(best.parameters[one])}`);
    if (best.share < 1)
      output.note('Time ran out before any point had all its epochs: a longer --budget goes on from here.');
  } finally {
    await platform.close();
  }
}

const share = (of: number) => `${Math.round(of * 100)} %`;
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** As YAML takes it; figures that nobody can tell apart are cut. */
function text(value: unknown): string {
  if (typeof value === 'number') return String(Number(value.toPrecision(4)));
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

async function rowsOf(
  context: CommandContext,
  platform: Platform,
  project: Project,
  model: Model,
  options: Options,
) {
  const { output, signal } = context;
  const bounds = async (source: string) => {
    const [row] = await platform.warehouse.query<{ rows: number; first: number; last: number }>(
      `SELECT count() AS rows, min(toUnixTimestamp64Milli(time)) AS first, max(toUnixTimestamp64Milli(time)) AS last
       FROM ${quoteName(tables.events(project.prefix, source))}`,
    );
    if (row === undefined || row.rows === 0)
      throw new NothingToLearn(`The archive of ${source} is empty: import history first (millrace import).`);
    return row;
  };
  const { first, last } = await bounds(model.request.source);
  const from = options.from ?? model.training.from ?? first;
  const to = options.to ?? model.training.to ?? last + 1;
  const progress = output.progress('rows');
  try {
    const [training] = await buildDataSets({
      project,
      model,
      warehouse: platform.warehouse,
      selections: [{ from, to, asOf: Math.max(last, to), sample: model.sample }],
      keep: true,
      signal,
      progress: (step) => {
        if (step.step !== 'vectors') return;
        progress.total(step.of);
        progress.update(step.vectors, day(step.time));
      },
    });
    if (training === undefined || training.labels.length === 0)
      throw new NothingToLearn(
        `Between ${day(from)} and ${day(to)} there is no ${model.request.eventType} with a known outcome: import history, or choose another range.`,
      );
    progress.done(`${count(training.labels.length)} rows of ${day(from)} to ${day(to - 1)}`);
    return training;
  } catch (error) {
    progress.fail();
    throw error;
  }
}
