import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessRecord } from '../infrastructure/local/processes.ts';

/** What the last demo (or `apply --prefix`) of a project left for the commands that come after it. */
export interface Current {
  /** First part of every name this run gave to a thing outside its process. */
  readonly prefix: string;
  /** Epoch ms, wall clock. */
  readonly since: number;
  /** The local stack runs because of this run, which stops it at its end. */
  readonly startedStack?: boolean;
  /** The process that works on it, for as long as it lives. */
  readonly process?: ProcessRecord;
}

type File = Readonly<Record<string, Current>>;

const fileOf = (dataDirectory: string) => join(dataDirectory, 'current.json');

/** The current run of the project in `project` (an absolute directory), or undefined. */
export function readCurrent(dataDirectory: string, project: string): Current | undefined {
  return readAll(dataDirectory)[project];
}

/** Null forgets. The file is renamed into place, so nobody reads half of it. */
export function writeCurrent(dataDirectory: string, project: string, current: Current | null): void {
  const { [project]: _before, ...others } = readAll(dataDirectory);
  mkdirSync(dataDirectory, { recursive: true });
  const file = fileOf(dataDirectory);
  const next = current === null ? others : { ...others, [project]: current };
  writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(next, null, 2)}\n`);
  renameSync(`${file}.${process.pid}`, file);
}

function readAll(dataDirectory: string): File {
  try {
    return JSON.parse(readFileSync(fileOf(dataDirectory), 'utf8')) as File;
  } catch {
    return {};
  }
}
