import { once } from 'node:events';
import { createWriteStream, existsSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { finished } from 'node:stream/promises';
import { Option } from 'commander';
import { type Work, writerTo } from '../../api/jobs/jobs.ts';
import { runScoring } from '../../api/jobs/join.ts';
import { QUERY_FORMS, type QueryForm, queryTable } from '../../api/jobs/query.ts';
import { readTable, type Table, type TableType } from '../../api/jobs/table.ts';
import { Problem } from '../../api/problem.ts';
import { mustRead } from '../../api/sql.ts';
import { wallClock } from '../../platform/platform.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { count, duration } from '../format.ts';
import { sourceOf } from '../histories.ts';
import { wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly model?: string;
  readonly modelVersion?: number;
  readonly query?: string;
  readonly form: QueryForm;
  readonly out: string;
}

const TYPES: Readonly<Record<string, TableType>> = {
  '.csv': 'text/csv',
  '.jsonl': 'application/x-ndjson',
  '.ndjson': 'application/x-ndjson',
  '.parquet': 'application/vnd.apache.parquet',
};

export const registerScore: Register = (program, run) => {
  program
    .command('score')
    .argument('[table]', 'file of requests: .csv, .jsonl, .ndjson or .parquet')
    .description('score a table or a query of requests, from the features as they were at the time of each')
    .option('--query <sql>', 'instead of a file: one statement that reads the warehouse')
    .requiredOption('--out <file>', 'where the table goes, with the columns that scoring adds')
    .option('--model <name>', "default: the project's only one")
    .option('--model-version <n>', 'default: the champion', wholeOption(1))
    .addOption(
      new Option('--form <form>', 'of what a query gives').choices(Object.keys(QUERY_FORMS)).default('csv'),
    )
    .addHelpText(
      'after',
      examples(
        ['millrace score requests.csv --out scores.csv', 'each row is a request, with its time'],
        [
          `millrace score --query "SELECT * FROM shop_events_orders WHERE type = 'order.placed' LIMIT 1000" --out scores.csv`,
          'requests that the archive holds',
        ],
      ),
    )
    .action(run(score));
};

async function score(context: CommandContext, file: string | undefined, options: Options): Promise<void> {
  const { output, signal } = context;
  const { query, form, out } = options;
  if ((file === undefined) === (query === undefined))
    throw new UsageError('Name a file of requests, or give a statement with --query: one of the two.');
  if (existsSync(out)) throw new UsageError(`${out} is there already: name another file.`);
  const project = openProject(context);
  const model = modelOf(project, options.model);
  if (query !== undefined) asUsage(() => mustRead(query));
  const platform = openPlatform(context, project);
  try {
    const deps = {
      project,
      warehouse: platform.warehouse,
      kafka: platform.kafka,
      artefacts: platform.artefacts,
      codecs: await platform.codecs(),
      clock: wallClock,
    };
    const asking = output.progress(query === undefined ? 'reads' : 'asks the warehouse');
    const table =
      query === undefined ? await tableIn(file ?? '') : await queryTable(platform.warehouse, query, form);
    asking.done(`${count(table.rows.length)} rows`);
    const scoring = output.progress('score', { total: table.rows.length, unit: 'rows' });
    const source = sourceOf(project, model.request.source);
    const request = { table, model, source, version: options.modelVersion ?? null };
    const rows = table.rows.length;
    await toFile(out, (write) =>
      runScoring(deps, request, {
        signal,
        progress: (doing, done) => scoring.update(done, doing),
        write,
      }),
    );
    const ms = scoring.done(`${count(rows)} rows to ${out}`);
    if (output.isJson) output.json({ model: model.name, rows, file: out, ms });
    else output.line(`${count(rows)} rows scored by ${model.name} in ${duration(ms)}: ${out}`);
  } catch (error) {
    throw error instanceof Problem ? new UsageError(error.message, { cause: error }) : error;
  } finally {
    await platform.close();
  }
}

/** What a table says wrong is a mistake of whoever wrote it. */
function asUsage(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof Problem ? new UsageError(error.message, { cause: error }) : error;
  }
}

async function tableIn(file: string): Promise<Table> {
  const type = TYPES[extname(file).toLowerCase()];
  if (type === undefined)
    throw new UsageError(
      `${file} is none of ${Object.keys(TYPES).join(', ')}: the ending says what it holds.`,
    );
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new UsageError(`${file} cannot be read.`, { cause });
  });
  return readTable(type, bytes);
}

/** Writes the result; half of one is removed. */
async function toFile(path: string, run: (write: Work['write']) => Promise<void>): Promise<void> {
  const output = createWriteStream(path, { flags: 'wx' });
  await once(output, 'open').catch((cause: unknown) => {
    throw new UsageError(`${path} cannot be written: name another file.`, { cause });
  });
  try {
    await run(writerTo(output));
    output.end();
    await finished(output);
  } catch (error) {
    output.destroy();
    rmSync(path, { force: true });
    throw error;
  }
}
