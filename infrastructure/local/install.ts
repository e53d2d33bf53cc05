import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alternatives, StackError } from './errors.ts';

/** Where our own files begin: the clone, or `dist` of the package. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

export type Ran = { code: number | null; stdout: string; stderr: string; missing: boolean };

/** Runs a program to its end. A program that is not there is an answer (`missing`), not an exception. */
export function run(
  command: string,
  args: string[],
  options: { cwd?: string; signal?: AbortSignal; onLine?: (line: string) => void } = {},
): Promise<Ran> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.signal ? { signal: options.signal } : {}),
    });
    let stdout = '';
    let stderr = '';
    let line = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      stdout = (stdout + text).slice(-64_000);
      if (!options.onLine) return;
      const lines = (line + text).split('\n');
      line = lines.pop() ?? '';
      for (const one of lines) options.onLine(one);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-64_000);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') done({ code: null, stdout, stderr, missing: true });
      else if (error.name === 'AbortError')
        fail(new StackError('interrupted', 'Interrupted while downloading.'));
      else fail(error);
    });
    child.on('close', (code) => done({ code, stdout, stderr, missing: false }));
  });
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** One checksum for a directory of files: of the lines `<sha256>  <name>\n`, sorted by name. */
export async function sha256OfDirectory(directory: string): Promise<{ sha256: string; files: number }> {
  const names = (await readdir(directory)).sort();
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${await sha256(join(directory, name))}  ${name}\n`);
  return { sha256: hash.digest('hex'), files: names.length };
}

export function checkSum(what: string, expected: string, found: string): void {
  if (expected === found) return;
  throw new StackError(
    'checksum',
    `${what} has the checksum ${found}, but ${expected} is pinned in infrastructure/local/versions.ts: ` +
      'it is not used. Try again; if it stays so, do not trust the place it comes from.',
    { retriable: true },
  );
}

/**
 * Fills `<cacheDir>/<name>` once: `fill` works in a directory beside it that is renamed at the end, so what
 * stands under the name is whole and verified, whatever interrupted an earlier try.
 */
export async function cached(
  cacheDir: string,
  name: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const target = join(cacheDir, name);
  if (await exists(target)) return target;
  const work = join(cacheDir, `.${name}-${randomUUID().slice(0, 8)}`);
  await mkdir(work, { recursive: true });
  try {
    await fill(work);
    await rename(work, target).catch(async (error: unknown) => {
      // Another process was faster: its copy is as good.
      if (!(await exists(target))) throw error;
    });
    return target;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

let mavenQueue: Promise<unknown> = Promise.resolve();

type MavenOptions = { cwd: string; signal: AbortSignal; what: string; onFile?: (file: string) => void };

/**
 * Runs Maven; `onFile` hears each file that it fetched. One at a time: two that fill an empty ~/.m2 together
 * can see each other's half-written plugins. Maven fetches the files of one run side by side by itself.
 */
export function maven(args: string[], options: MavenOptions): Promise<void> {
  const turn = mavenQueue.then(() => runMaven(args, options));
  mavenQueue = turn.catch(() => undefined);
  return turn;
}

async function runMaven(args: string[], options: MavenOptions): Promise<void> {
  if (options.signal.aborted) throw new StackError('interrupted', 'Interrupted before downloading.');
  const ran = await run('mvn', ['-B', ...args], {
    cwd: options.cwd,
    signal: options.signal,
    onLine: (line) => {
      const file = /^Downloaded from \S+ \S*\/([^/\s]+\.(?:jar|gz)) /.exec(line.replace('[INFO] ', ''))?.[1];
      if (file) options.onFile?.(file);
    },
  });
  if (ran.missing) {
    throw new StackError(
      'missing_tool',
      `Maven (\`mvn\`) is not on PATH: ${options.what} comes from it. ${alternatives}`,
    );
  }
  if (ran.code !== 0) {
    const line =
      ran.stdout.split('\n').find((l) => l.startsWith('[ERROR]')) ?? ran.stderr.split('\n')[0] ?? '';
    throw new StackError(
      'download_failed',
      `Maven could not fetch ${options.what}: ${line.replace('[ERROR] ', '').slice(0, 400)} ` +
        'Check the network (or the mirror in ~/.m2/settings.xml) and try again; what was fetched is kept.',
      { retriable: true },
    );
  }
}

/** Tells every second how large the files in `directory` are, while they grow: Maven itself says nothing until the end. */
export function watchSize(directory: string, onBytes: (bytes: number) => void): () => void {
  let before: number | undefined;
  const timer = setInterval(async () => {
    let bytes = 0;
    for (const name of await readdir(directory).catch(() => [])) {
      bytes += await stat(join(directory, name)).then(
        (file) => file.size,
        () => 0,
      );
    }
    if (before !== undefined && bytes > before) onBytes(bytes);
    before = bytes;
  }, 1_000);
  return () => clearInterval(timer);
}

let java: Promise<void> | undefined;

/** Refuses a missing or an old Java in one sentence. */
export function requireJava(oldest: number): Promise<void> {
  java ??= (async () => {
    const ran = await run('java', ['-version']);
    if (ran.missing) {
      throw new StackError(
        'missing_tool',
        `Java (\`java\`, ${oldest} or newer) is not on PATH: Kafka and the schema registry run on it. ${alternatives}`,
      );
    }
    const major = Number(/version "(?:1\.)?(\d+)/.exec(ran.stderr + ran.stdout)?.[1] ?? Number.NaN);
    if (!(major >= oldest)) {
      throw new StackError(
        'missing_tool',
        `Java on PATH is version ${major}, but Kafka and the schema registry need ${oldest} or newer. ${alternatives}`,
      );
    }
  })();
  java.catch(() => {
    java = undefined;
  });
  return java;
}
