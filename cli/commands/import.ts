import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import type { History, Project, Source } from '../../schemas/project.ts';
import { importHistory } from '../../streams/history/import.ts';
import { examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { count, instant } from '../format.ts';
import { instantOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
}

export const registerImport: Register = (program, run) => {
  program
    .command('import')
    .argument('[file]', 'Parquet or JSON lines; the flights reader has a file of its own')
    .description(
      'load history into ClickHouse alone; a repeat changes nothing, an overlap with events from Kafka is refused',
    )
    .option('--from <time>', 'event times from here (UTC unless it names a zone)', instantOption)
    .option('--to <time>', 'event times before this', instantOption)
    .addHelpText(
      'after',
      examples(
        ['millrace import --to 2001-03-23', 'the flights before 23 March'],
        ['millrace import payments.jsonl --project docs/examples/payments', 'a file of your own'],
      ),
    )
    .action(
      run(async (context, file: string | undefined, options: Options) => {
        const { output, signal } = context;
        const project = openProject(context);
        const { history, source } = historyOf(project, file, 'import');
        const platform = openPlatform(context, project);
        try {
          await ensureTables(platform.warehouse, project);
          const reading = output.progress('reading');
          const opened = await openHistory(history, source, file ?? null);
          reading.done(`${count(opened.rows)} rows, ${count(opened.duplicates)} exact duplicates left out`);
          const progress = output.progress('import', { unit: 'events' });
          const report = await importHistory({
            project,
            warehouse: platform.warehouse,
            source,
            file: opened,
            from: options.from ?? null,
            to: options.to ?? null,
            now: platform.clock.now(),
            signal,
            progress: ({ events, of }) => {
              progress.total(of);
              progress.update(events);
            },
          });
          progress.done();
          if (output.isJson) return output.json(report);
          const refused = Object.entries(report.rejected);
          output.line(
            report.status === 'already'
              ? 'An earlier import covers this: nothing was written.'
              : `${count(report.accepted)} events from ${instant(report.from)} to ${instant(report.to)}`,
          );
          for (const [code, events] of refused) output.line(`${count(events)} rejected: ${code}`);
        } finally {
          await platform.close();
        }
      }),
    );
};

/** The reader of a file: the project's own, or events where a file is named without one. */
export function historyOf(
  project: Project,
  file: string | undefined,
  command: 'import' | 'replay' | 'evaluate',
): { history: History; source: Source } {
  const [only] = project.sources;
  const history: History | null =
    project.history ??
    (only === undefined || file === undefined ? null : { reader: 'events', source: only.name });
  const source = project.sources.find(({ name }) => name === history?.source);
  if (history === null || source === undefined)
    throw new UsageError(
      `Project ${project.name} declares no history: name a file, or add \`history:\` to project.yaml.`,
    );
  if (history.reader === 'events' && file === undefined)
    throw new UsageError(`Name the file to read: millrace ${command} FILE.`);
  return { history, source };
}
