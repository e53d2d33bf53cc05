import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { StackError } from './errors.ts';
import { root, run } from './install.ts';
import { services } from './native.ts';
import { freePort } from './ports.ts';
import type { Report, ServiceName } from './service.ts';
import { ports } from './settings.ts';
import { type StackState, writeState } from './state.ts';

/** Whether a Docker engine answers and has Compose. */
export async function dockerAnswers(): Promise<boolean> {
  const [engine, compose] = await Promise.all([
    run('docker', ['info', '--format', '{{.ServerVersion}}']),
    run('docker', ['compose', 'version']),
  ]);
  return engine.code === 0 && compose.code === 0;
}

/** Two data directories are two projects, with containers and volumes of their own. */
const projectOf = (dataDir: string) =>
  `millrace-${createHash('sha256').update(dataDir).digest('hex').slice(0, 8)}`;

/** Container names in docker-compose.yml are our service names; ports come in by these variables. */
const variables: Readonly<Record<keyof typeof ports, string>> = {
  kafka: 'MILLRACE_KAFKA_PORT',
  redis: 'MILLRACE_REDIS_PORT',
  registry: 'MILLRACE_REGISTRY_PORT',
  clickhouse: 'MILLRACE_CLICKHOUSE_PORT',
};

async function compose(
  dataDir: string,
  args: string[],
  signal?: AbortSignal,
  given: Readonly<Record<string, number>> = {},
) {
  const env = Object.entries(given).map(([name, port]) => `${variables[name as keyof typeof ports]}=${port}`);
  return run(
    'env',
    [
      ...env,
      'docker',
      'compose',
      '--project-name',
      projectOf(dataDir),
      '--file',
      join(root, 'docker-compose.yml'),
      ...args,
    ],
    signal ? { signal } : {},
  );
}

export async function upCompose(
  options: {
    dataDir: string;
    wanted: readonly ServiceName[];
    before: StackState | undefined;
    signal: AbortSignal;
  },
  report: (service: ServiceName) => Report,
): Promise<StackState> {
  const { dataDir, wanted, before, signal } = options;
  const taken = new Set<number>();
  const given: Record<string, number> = { ...before?.composePorts };
  for (const [name, preferred] of Object.entries(ports)) {
    given[name] ??= await freePort([preferred], taken);
    taken.add(given[name]);
  }
  const state: StackState = {
    kafka: wanted.includes('kafka') ? [services.kafka.address(given.kafka ?? 0)] : [],
    redis: wanted.includes('redis') ? services.redis.address(given.redis ?? 0) : '',
    registry: wanted.includes('registry') ? services.registry.address(given.registry ?? 0) : '',
    clickhouse: wanted.includes('clickhouse') ? services.clickhouse.address(given.clickhouse ?? 0) : '',
    mode: 'compose',
    services: {},
    composePorts: given,
  };
  writeState(dataDir, state);
  for (const name of wanted) report(name)('start', 'docker compose up');
  const ran = await compose(dataDir, ['up', '--detach', '--wait', ...wanted], signal, given);
  if (ran.code !== 0) {
    throw new StackError(
      'start_failed',
      `docker compose up failed: ${ran.stderr.trim().split('\n').slice(-3).join(' ')} To run without Docker: \`millrace up --mode native\`.`,
      { retriable: true },
    );
  }
  for (const name of wanted) {
    const own = { main: given[name] ?? 0 };
    const deadline = Date.now() + services[name].startWithinMs;
    while (!(await services[name].ready(own).catch(() => false))) {
      if (signal.aborted) throw new StackError('interrupted', `Interrupted while ${name} was starting.`);
      if (Date.now() > deadline)
        throw new StackError(
          'not_ready',
          `${name} runs in its container but does not answer on port ${own.main}.`,
          { retriable: true },
        );
      await new Promise((done) => setTimeout(done, 100));
    }
    await services[name].prepare?.(own);
    report(name)('ready', services[name].address(own.main));
  }
  return state;
}

export async function downCompose(dataDir: string, wipe: boolean): Promise<void> {
  const ran = await compose(dataDir, ['down', '--timeout', '20', ...(wipe ? ['--volumes'] : [])]);
  if (ran.code !== 0) {
    throw new StackError(
      'start_failed',
      `docker compose down failed: ${ran.stderr.trim().split('\n').at(-1) ?? ''}`,
      { retriable: true },
    );
  }
}
