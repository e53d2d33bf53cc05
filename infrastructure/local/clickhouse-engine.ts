import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { literal } from './clickhouse-sql.ts';
import { StackError } from './errors.ts';
import { startOf } from './processes.ts';

/**
 * ClickHouse's engine inside this process, through the native part of npm `chdb`. Its JavaScript layer
 * whitelists insert formats and binds parameters through state that is global to the process, so we call
 * the native functions; they are not public, which is why the version is pinned exactly.
 */
type Handle = { readonly chdb: unique symbol };
type Answer = { bytes: Uint8Array; elapsed: number; rowsRead: number; bytesRead: number };
type Written = { elapsed: number; rowsWritten: number; bytesWritten: number };

type Native = {
  CreateConnection(path: string, args: string[]): Handle;
  CloseConnection(connection: Handle): void;
  QueryAsyncConnection(connection: Handle, sql: string, format: string): Promise<Answer>;
  InsertRawAsyncConnection(
    connection: Handle,
    prefix: string,
    data: Buffer,
    countLines: boolean,
  ): Promise<Written>;
};

/** One statement at a time. Settings, parameters and the database stay on it until it is closed. */
export type Connection = {
  query(sql: string, format: string): Promise<Answer>;
  /** An INSERT whose rows are in the statement itself: VALUES or SELECT. */
  insert(sql: string): Promise<Written>;
  /**
   * `INSERT INTO …` and its `SETTINGS … FORMAT …`, with the rows beside it, in whatever bytes. They go by a file:
   * of rows behind the statement the engine takes an empty line for their end (two bytes of 10 are in any
   * binary format), drops the rest without a word, or runs it as a statement of its own.
   */
  insertBytes(into: string, clauses: string, data: Buffer): Promise<Written>;
  close(): void;
};

export type Engine = { connect(): Connection; version: string; close(): void };

function loadNative(): Native {
  const require = createRequire(import.meta.url);
  const loader = join(dirname(require.resolve('chdb/package.json')), 'dist/loader.js');
  try {
    return (require(loader) as { loadNative(): Native }).loadNative();
  } catch (cause) {
    throw new StackError(
      'unsupported',
      `ClickHouse's engine (npm chdb) does not load on ${process.platform}-${process.arch}: ${(cause as Error).message} Run \`npm ci\`, or use a ClickHouse server.`,
      { cause },
    );
  }
}

/** Opens a data directory. One process may hold it, and a process may hold one. */
export async function openEngine(dataDir: string): Promise<Engine> {
  const native = loadNative();
  const path = resolve(dataDir);
  mkdirSync(path, { recursive: true });
  const incoming = join(path, 'incoming');
  const open = (): Handle => {
    try {
      // As a server in a container: the machine's time zone must not change what a query means.
      return native.CreateConnection(path, ['--session_timezone=UTC']);
    } catch (cause) {
      throw refusal(path, cause as Error);
    }
  };
  // While one connection is open the engine keeps running; the others cost 0.1 ms each.
  const first = open();
  // Only this process can hold the directory now: what a killed one left there goes.
  mkdirSync(incoming, { recursive: true });
  for (const name of readdirSync(incoming)) {
    if (!name.startsWith(`${process.pid}-`)) rmSync(join(incoming, name), { force: true });
  }
  const version = Buffer.from(
    (await native.QueryAsyncConnection(first, 'SELECT version()', 'TabSeparated')).bytes,
  )
    .toString()
    .trim();
  return {
    version,
    connect: () => {
      const handle = open();
      return {
        query: (sql, format) => native.QueryAsyncConnection(handle, sql, format),
        insert: (sql) => native.InsertRawAsyncConnection(handle, '', Buffer.from(sql), false),
        insertBytes: async (into, clauses, data) => {
          const file = join(incoming, `${process.pid}-${randomUUID()}`);
          const sql = `${into} FROM INFILE ${literal(file)} COMPRESSION 'none' ${clauses}`;
          try {
            await writeFile(file, data);
            return await native.InsertRawAsyncConnection(handle, '', Buffer.from(sql), false);
          } catch (error) {
            throw withoutFile(error as Error, file);
          } finally {
            await rm(file, { force: true });
          }
        },
        close: () => native.CloseConnection(handle),
      };
    },
    close: () => native.CloseConnection(first),
  };
}

/** The error as it is without the file: that wraps it in one more, which names the file. */
function withoutFile(error: Error, file: string): Error {
  const message = error.message
    .replace(/^(Code: \d+\. DB::Exception: )(?:Code: \d+\. DB::Exception: )+/, '$1')
    .replace(`: (in file/uri ${file})`, '')
    .replace(': While executing File: data for INSERT was parsed from file', '')
    .replaceAll(/ \(version [\d.]+\)/g, '')
    .replace(/(\. \([A-Z_0-9]+\))\1+$/, '$1');
  return new Error(message, { cause: error });
}

/** The native error names no cause (it goes to stderr); ClickHouse's `status` file names the holder. */
function holderOf(path: string): number | undefined {
  try {
    const pid = Number(/^PID: (\d+)/m.exec(readFileSync(join(path, 'status'), 'utf8'))?.[1]);
    return pid !== process.pid && startOf(pid) !== undefined ? pid : undefined;
  } catch {
    return undefined;
  }
}

function refusal(path: string, cause: Error): StackError {
  if (cause.message.includes('only one active data directory')) {
    return new StackError(
      'locked',
      `This process already holds another ClickHouse data directory, so ${path} was not opened: one process can hold one. Close the other server first, or start this one in a process of its own.`,
      { cause },
    );
  }
  const holder = holderOf(path);
  if (holder !== undefined) {
    return new StackError(
      'locked',
      `Another process (${holder}) holds the ClickHouse data directory ${path}: stop it, or use its URL, or choose another directory.`,
      { retriable: true, cause },
    );
  }
  return new StackError(
    'start_failed',
    `ClickHouse's engine could not open ${path}: ${cause.message.trim()}`,
    { cause },
  );
}
