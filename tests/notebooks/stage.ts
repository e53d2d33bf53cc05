import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatePayments } from '../../docs/examples/payments/generate.ts';
import { cacheDirectory } from '../../infrastructure/local/places.ts';
import { type StackAddresses, up } from '../../infrastructure/local/stack.ts';
import { root } from '../architecture/sources.ts';

/** From here on a sender writes another currency: every amount is two and a half times as large. */
const DRIFT = '2026-03-15';
const CARDS = 150;

/** The example's project on a stack of its own, and the command line that works on it. */
export interface Stage {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly history: string;
  millrace(...words: readonly string[]): Promise<void>;
  /** Runs the streams until the function that it answers is called. */
  streams(): Promise<() => Promise<void>>;
}

/** Runs a program to its end; its output is shown where it fails. */
export async function must(
  command: string,
  parameters: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const child = spawn(command, parameters, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (out += text));
  const [code] = await once(child, 'close');
  if (code !== 0)
    throw new Error(`${command} ${parameters.join(' ')} ended with ${code}:\n${out.slice(-4_000)}`);
}

/** Python with what the notebooks need; installed once for each list of requirements. */
export async function python(): Promise<string> {
  const requirements = join(root, 'notebooks/requirements.txt');
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const directory = join(cacheDirectory(), `notebooks-${hash}`);
  const program = join(directory, 'bin/python');
  const done = join(directory, 'installed');
  if (!existsSync(done)) {
    rmSync(directory, { recursive: true, force: true });
    await must('python3', ['-m', 'venv', directory]);
    await must(program, ['-m', 'pip', 'install', '--quiet', '-r', requirements]);
    writeFileSync(done, '');
  }
  return program;
}

function writeHistory(file: string): void {
  const records = generatePayments({ cards: CARDS }).map((record) =>
    record.created_at < DRIFT
      ? record
      : { ...record, amount: { ...record.amount, value: Math.round(record.amount.value * 250) / 100 } },
  );
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

function variablesOf(stack: StackAddresses): Record<string, string> {
  return {
    KAFKA_BROKERS: stack.kafka.join(','),
    REDIS_URL: stack.redis,
    REGISTRY_URL: stack.registry,
    CLICKHOUSE_URL: stack.clickhouse,
  };
}

export async function openStage(directory: string): Promise<Stage> {
  const project = join(directory, 'payments');
  cpSync(join(root, 'docs/examples/payments'), project, { recursive: true });
  // Nothing trains again by itself: the notebooks bring the next version.
  rmSync(join(project, 'pipelines.yaml'));
  const history = join(directory, 'payments.jsonl');
  writeHistory(history);
  const stack = await up({ dataDir: join(directory, 'stack'), mode: 'native' });
  mkdirSync(join(directory, 'data'));
  const environment = { ...variablesOf(stack), MILLRACE_DATA: join(directory, 'data'), NO_COLOR: '1' };
  const env = { ...process.env, ...environment };
  const call = (words: readonly string[]) => [join(root, 'cli/millrace.ts'), '--project', project, ...words];
  return {
    directory,
    environment: { ...environment, MILLRACE: [process.execPath, ...call([])].join(' ') },
    history,
    millrace: (...words) => must(process.execPath, call(words), env),
    async streams() {
      const child = spawn(
        process.execPath,
        call(['run', 'ingest', 'features', 'inference', 'archive', 'monitoring', 'delivery']),
        { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
      );
      let err = '';
      child.stderr?.on('data', (text) => (err = (err + text).slice(-4_000)));
      const ended = once(child, 'close');
      const ready = once(child, 'message').then(() => 'ready');
      if ((await Promise.race([ready, ended.then(() => 'ended')])) === 'ended')
        throw new Error(`the streams ended:\n${err}`);
      return () => stop(child, ended);
    },
  };
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  await ended;
}
