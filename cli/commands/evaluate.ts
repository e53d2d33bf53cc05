import { openHistory } from '../../infrastructure/readers/open.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { evaluateModel } from '../../pipelines/training/evaluate.ts';
import type { Source } from '../../schemas/project.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { count, day, duration } from '../format.ts';
import { historiesOf } from '../histories.ts';
import { metricTable } from '../metric-table.ts';
import { instantOption, wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { trainingSteps } from '../training-progress.ts';
import { codeVersion } from '../version.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly model?: string;
  readonly trainFrom?: number;
  readonly trainTo?: number;
  readonly testFrom?: number;
  readonly testTo?: number;
  readonly testRows?: number;
  readonly keep?: boolean;
}

export const registerEvaluate: Register = (program, run) => {
  program
    .command('evaluate')
    .argument('[file]', 'history; the flights reader has a file of its own')
    .description('train on one time, judge on a later one, in ClickHouse alone, under a prefix of its own')
    .option('--model <name>', "default: the project's only one")
    .option('--train-from <time>', 'default: what the model declares', instantOption)
    .option('--train-to <time>', 'default: what the model declares', instantOption)
    .option('--test-from <time>', 'default: where training ends', instantOption)
    .option('--test-to <time>', 'default: where the history ends', instantOption)
    .option('--test-rows <n>', 'judge on a sample of so many rows (default: all)', wholeOption(1))
    .option('--keep', 'leave the tables for a look afterwards')
    .addHelpText(
      'after',
      examples(
        ['millrace evaluate', 'as declared: trained to 13 May, judged to 30 June'],
        ['millrace evaluate --test-rows 50000 --json', 'quicker, for programs'],
      ),
    )
    .action(run(evaluateCommand));
};

async function evaluateCommand(
  context: CommandContext,
  path: string | undefined,
  options: Options,
): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context, { prefix: `evaluate-${Date.now().toString(36)}` });
  const model = modelOf(project, options.model);
  const chosen = historiesOf(project, { file: path, command: 'evaluate' });
  const from = options.trainFrom ?? model.training.from;
  const to = options.trainTo ?? model.training.to;
  if (from === null || to === null)
    throw new UsageError(`Model ${model.name} declares no training range: give --train-from and --train-to.`);
  const reading = output.progress('reading');
  const histories: Array<{ source: Source; file: HistoryFile }> = [];
  for (const one of chosen)
    histories.push({ source: one.source, file: await openHistory(one.history, one.source, one.path) });
  const sum = (of: (file: HistoryFile) => number) => histories.reduce((all, { file }) => all + of(file), 0);
  reading.done(
    `${count(sum(({ events }) => events))} events, ${count(sum(({ duplicates }) => duplicates))} exact duplicate rows left out`,
  );
  const importing = output.progress('import', { unit: 'events' });
  let steps: ReturnType<typeof trainingSteps> | undefined;
  const platform = openPlatform(context, project);
  try {
    const report = await evaluateModel({
      project,
      model,
      warehouse: platform.warehouse,
      histories,
      training: { from, to },
      test: { from: options.testFrom ?? to, to: options.testTo ?? Date.UTC(2100, 0) },
      testRows: options.testRows ?? null,
      codeVersion: codeVersion(context.environment.packageDirectory),
      now: platform.clock.now,
      keep: options.keep ?? false,
      signal,
      progress: (done) => {
        if (done.step === 'import') {
          importing.total(done.of);
          importing.update(done.events);
          return;
        }
        if (steps === undefined) {
          importing.done();
          steps = trainingSteps(output);
        }
        steps.on(done);
      },
    });
    steps?.done();
    const { evaluation, training, test, ms } = report;
    if (output.isJson) return output.json({ training, test, evaluation, ms });
    output.line(
      `trained on ${count(training.rows)} rows of ${day(training.from)} to ${day(training.to - 1)}, judged on ${count(test.rows)} later ones, in ${duration(ms.total)}`,
    );
    metricTable(output, 'test', evaluation);
  } catch (error) {
    importing.fail();
    steps?.fail();
    throw error;
  } finally {
    await platform.close();
  }
}
