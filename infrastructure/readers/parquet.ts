import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../module-url.ts';
import { HistoryFileError } from './errors.ts';

const ENGINE = fileURLToPath(moduleUrl(import.meta.url, './parquet-process'));

/**
 * Runs one SELECT over a Parquet file and hands out its answer in pieces. ClickHouse's engine does it, in
 * a process of its own: a process can hold only one engine, and the warehouse's may live in this one.
 * `{file}` in the statement stands for the file as a table. Throws HistoryFileError.
 */
export async function* queryParquet(path: string, sql: string): AsyncGenerator<Uint8Array> {
  if (!existsSync(path)) throw new HistoryFileError(`There is no file ${path}.`);
  const child = spawn(process.execPath, [ENGINE], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  child.stdin.on('error', () => {});
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  try {
    child.stdin.end(JSON.stringify({ sql: sql.replaceAll('{file}', `file(${quoted(path)}, Parquet)`) }));
    for await (const bytes of child.stdout) yield bytes as Uint8Array;
    const [code] = await ended;
    if (code !== 0) throw explain(path, said.trim());
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function explain(path: string, said: string): HistoryFileError {
  const cause = new Error(said);
  if (said.includes("Cannot find package 'chdb'"))
    return new HistoryFileError(
      `${path} is Parquet, which ClickHouse's engine reads: run \`npm install chdb\`.`,
      { cause },
    );
  const column = /Unknown expression(?: or function)? identifier [`']([^`']+)[`']/.exec(said)?.[1];
  if (column !== undefined)
    return new HistoryFileError(`${path} has no column '${column}'; its rows cannot become events.`, {
      cause,
    });
  if (
    /Not a Parquet file|Parquet file is too|footer|magic bytes|Cannot read all data|Unexpected end/i.test(
      said,
    )
  )
    return new HistoryFileError(
      `${path} is not a whole Parquet file (it is cut short, or something else); fetch it again.`,
      { cause },
    );
  return new HistoryFileError(
    `${path} cannot be read as Parquet: ${said.split('\n')[0] ?? 'no reason was given'}`,
    {
      cause,
    },
  );
}
