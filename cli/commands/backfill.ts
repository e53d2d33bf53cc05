import { backfillRange } from '../../pipelines/training/vectors.ts';
import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { bytes, count, day, instant } from '../format.ts';
import { instantOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { modelOf } from './predictions.ts';

interface StateOptions {
  readonly to?: number;
  readonly replace?: boolean;
  readonly view?: readonly string[];
  readonly whole?: boolean;
}

interface VectorsOptions {
  readonly from: number;
  readonly to: number;
  readonly all?: boolean;
}

export const registerBackfill: Register = (program, run) => {
  const group = program.command('backfill').description('build features from the archive');
  group
    .command('state')
    .description('write the online state as if the streams had run until then')
    .option('--to <time>', 'event time up to which the archive is folded (default: now)', instantOption)
    .option('--view <name...>', 'only these views (default: all)')
    .option('--replace', 'also where there is a state already')
    .option('--whole', 'nothing happened before the first imported event: windows may reach back of it')
    .addHelpText(
      'after',
      examples(
        ['millrace backfill state', 'the features of imported history, before the streams start'],
        ['millrace backfill state --to 2001-03-23', 'features as of 23 March'],
        [
          'millrace backfill state --to 2001-04-01 --view route --replace',
          'a changed view, while the one before answers',
        ],
        ['millrace backfill state --to 2026-01-05 --whole', 'of a business that began with its history'],
      ),
    )
    .action(run(state));
  group
    .command('vectors')
    .argument('[model]', "default: the project's only one")
    .description('write the vectors that past requests would have had, read as live would, to a table')
    .requiredOption('--from <time>', 'requests from here', instantOption)
    .requiredOption('--to <time>', 'requests before this', instantOption)
    .option('--all', 'all of them, not only the sample that the model declares')
    .addHelpText(
      'after',
      examples(['millrace backfill vectors --from 2001-03-01 --to 2001-03-08', 'a week of vectors']),
    )
    .action(run(vectors));
};

function viewOf(project: Project, name: string): View {
  const view = project.views.find((one) => one.name === name || one.id === name);
  if (view === undefined)
    throw new UsageError(
      `Project ${project.name} has no view '${name}'; it has ${project.views.map((one) => one.name).join(', ')}.`,
    );
  return view;
}

async function state(context: CommandContext, options: StateOptions): Promise<void> {
  const { output, signal } = context;
  const to = options.to ?? Date.now();
  const project = openProject(context);
  const platform = openPlatform(context, project);
  const progress = output.progress('backfill', { total: 1_000 });
  try {
    const report = await backfillState({
      project,
      warehouse: platform.warehouse,
      store: platform.store,
      kafka: platform.kafka,
      codecs: await platform.codecs(),
      to,
      ...(options.view === undefined ? {} : { views: options.view.map((name) => viewOf(project, name)) }),
      replace: options.replace ?? false,
      whole: options.whole ?? false,
      signal,
      progress: (done) => {
        if (done.step === 'fold')
          progress.update(
            Math.floor((1_000 * (done.time - done.from)) / Math.max(1, to - done.from)),
            `${count(done.events)} events, ${day(done.time)}`,
          );
        else progress.update(1_000, `writing ${done.view}`);
      },
    });
    progress.done();
    if (output.isJson) return output.json(report);
    output.line(`${count(report.events)} events folded, ${instant(report.from)} to ${instant(report.to)}`);
    output.table(
      [
        { title: 'view' },
        { title: 'entities', align: 'right' },
        { title: 'keys', align: 'right' },
        { title: 'bytes', align: 'right' },
      ],
      report.views.map((view) => [view.view, count(view.entities), count(view.keys), bytes(view.bytes)]),
    );
  } catch (error) {
    progress.fail();
    throw error;
  } finally {
    await platform.close();
  }
}

async function vectors(
  context: CommandContext,
  name: string | undefined,
  options: VectorsOptions,
): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context);
  const model = modelOf(project, name);
  const platform = openPlatform(context, project);
  const progress = output.progress('vectors', { unit: 'vectors' });
  try {
    const { ids, events, table } = await backfillRange({
      project,
      model,
      warehouse: platform.warehouse,
      from: options.from,
      to: options.to,
      sample: options.all ? null : model.sample,
      persist: true,
      signal,
      progress: (done) => {
        if (done.step !== 'vectors') return;
        progress.total(done.of);
        progress.update(done.vectors, day(done.time));
      },
    });
    progress.done();
    const result = { model: model.name, vectors: ids.length, events, table, layout: model.layoutHash };
    if (output.isJson) return output.json(result);
    output.line(
      `${count(ids.length)} vectors of ${model.name} from ${count(events)} events, in table ${table}`,
    );
  } catch (error) {
    progress.fail();
    throw error;
  } finally {
    await platform.close();
  }
}
