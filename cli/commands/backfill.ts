import { backfillState } from '../../streams/backfill.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { bytes, count, day, instant } from '../format.ts';
import { instantOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';

interface StateOptions {
  readonly to: number;
  readonly replace?: boolean;
}

export const registerBackfill: Register = (program, run) => {
  const group = program.command('backfill').description('build features from the archive');
  group
    .command('state')
    .description('write the online state as if the streams had run until then; they must stand still')
    .requiredOption('--to <time>', 'event time up to which the archive is folded', instantOption)
    .option('--replace', 'also where there is a state already')
    .addHelpText('after', examples(['millrace backfill state --to 2001-03-23', 'features as of 23 March']))
    .action(run(state));
};

async function state(context: CommandContext, options: StateOptions): Promise<void> {
  const { output, signal } = context;
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
      to: options.to,
      replace: options.replace ?? false,
      signal,
      progress: (done) => {
        if (done.step === 'fold')
          progress.update(
            Math.floor((1_000 * (done.time - done.from)) / Math.max(1, options.to - done.from)),
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
