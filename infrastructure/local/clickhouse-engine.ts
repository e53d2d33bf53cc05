import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
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
  /** `head` may be empty and the whole statement, data included, be in `data`. */
  insert(head: string, data: Buffer): Promise<Written>;
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
        insert: (head, data) =>
          cutByEmptyLine(head, data)
            ? insertFromFile(native, handle, head, data)
            : native.InsertRawAsyncConnection(handle, head, data, false),
        close: () => native.CloseConnection(handle),
      };
    },
    close: () => native.CloseConnection(first),
  };
}

/**
 * The native insert takes an empty line for the end of its data, even in binary formats, where two bytes of 10
 * are any number: the rows after them would silently be lost. Such data goes by a file. (Statement and data in
 * one body still take the native way: text formats without empty lines only.)
 */
function cutByEmptyLine(head: string, data: Buffer): boolean {
  return /\bFORMAT\s+\w+\s*$/i.test(head) && (data[0] === 10 || data.includes('\n\n'));
}

async function insertFromFile(native: Native, handle: Handle, head: string, data: Buffer): Promise<Written> {
  const file = join(tmpdir(), `millrace-insert-${randomUUID()}.bin`);
  await writeFile(file, data);
  try {
    const sql = head.replace(/\bFORMAT\s+(\w+)\s*$/i, `FROM INFILE '${file}' COMPRESSION 'none' FORMAT $1`);
    const { elapsed, rowsRead, bytesRead } = await native.QueryAsyncConnection(handle, sql, 'Null');
    return { elapsed, rowsWritten: rowsRead, bytesWritten: bytesRead };
  } finally {
    await rm(file, { force: true });
  }
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
