import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { dockerAnswers, downCompose, upCompose } from './compose.ts';
import { StackError } from './errors.ts';
import { downNative, isReady, services, upNative } from './native.ts';
import { cacheDirectory, stackDirectory } from './places.ts';
import { alive } from './processes.ts';
import { type Report, type ServiceName, type StackProgress, serviceNames } from './service.ts';
import {
  readState,
  removeState,
  type StackAddresses,
  type StackMode,
  type StackState,
  withLock,
} from './state.ts';

export { StackError } from './errors.ts';
export type { ServiceName, StackProgress } from './service.ts';
export type { StackAddresses, StackMode } from './state.ts';

export type StackOptions = {
  /** Default: the stack that this machine's projects share. Data, logs and `addresses.json` live here. */
  dataDir?: string;
  /** Default auto: what already runs here, else Docker Compose where an engine answers, else native. */
  mode?: 'auto' | StackMode;
  /** Default all four. The registry brings Kafka with it. */
  services?: readonly ServiceName[];
  /** Ends an `up` early; Ctrl-C does so by itself. */
  signal?: AbortSignal;
};

export type ServiceStatus = {
  name: ServiceName;
  state: 'ready' | 'starting' | 'stopped';
  address: string;
  pid: number | null;
};
export type StackStatus = { dataDir: string; mode: StackMode | null; services: ServiceStatus[] };

const directory = (dataDir: string | undefined) => resolve(dataDir ?? stackDirectory());

function withNeeds(wanted: readonly ServiceName[]): ServiceName[] {
  const all = new Set(wanted.flatMap((name) => [...services[name].needs, name]));
  return serviceNames.filter((name) => all.has(name));
}

function reporter(
  onProgress: ((event: StackProgress) => void) | undefined,
): (service: ServiceName) => Report {
  const began = performance.now();
  return (service) => (phase, detail) =>
    onProgress?.({ service, phase, detail, elapsedMs: Math.round(performance.now() - began) });
}

const addressesOf = ({ kafka, redis, registry, clickhouse, mode }: StackState): StackAddresses => ({
  kafka,
  redis,
  registry,
  clickhouse,
  mode,
});

/**
 * Starts the stack and returns when every service answers. The services are daemons: they outlive this
 * process, until `down`. Called again it returns what runs and restarts what died. Ctrl-C (or `signal`)
 * stops what this call started and throws `interrupted`.
 */
export async function up(
  options: StackOptions = {},
  onProgress?: (event: StackProgress) => void,
): Promise<StackAddresses> {
  const dataDir = directory(options.dataDir);
  const wanted = withNeeds(options.services ?? serviceNames);
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const signal = options.signal ? AbortSignal.any([options.signal, interrupt.signal]) : interrupt.signal;
  const report = reporter(onProgress);
  try {
    return await withLock(dataDir, signal, async () => {
      const before = readState(dataDir);
      const mode = await chooseMode(options.mode ?? 'auto', before, dataDir);
      const state =
        mode === 'compose'
          ? await upCompose({ dataDir, wanted, before, signal }, report)
          : await upNative({ dataDir, cacheDir: cacheDirectory(), wanted, signal }, report);
      return addressesOf(state);
    });
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

async function chooseMode(
  wished: 'auto' | StackMode,
  before: StackState | undefined,
  dataDir: string,
): Promise<StackMode> {
  const mode =
    wished === 'auto' ? (before?.mode ?? ((await dockerAnswers()) ? 'compose' : 'native')) : wished;
  if (before && before.mode !== mode) {
    throw new StackError(
      'unsupported',
      `The stack in ${dataDir} runs in ${before.mode} mode: stop it with \`millrace down\` before starting it in ${mode} mode.`,
    );
  }
  if (wished === 'compose' && !(await dockerAnswers())) {
    throw new StackError(
      'missing_tool',
      'No Docker engine with Compose answers (`docker info`, `docker compose version`): start Docker, or use native mode.',
    );
  }
  return mode;
}

/** Stops every service of the data directory; leaves no process. `wipe` removes data and logs too. */
export async function down(
  options: { dataDir?: string; wipe?: boolean } = {},
  onProgress?: (event: StackProgress) => void,
): Promise<void> {
  const dataDir = directory(options.dataDir);
  const wipe = options.wipe ?? false;
  if (!existsSync(dataDir)) return;
  await withLock(dataDir, new AbortController().signal, async () => {
    const state = readState(dataDir);
    if (state?.mode === 'compose') await downCompose(dataDir, wipe);
    else await downNative(dataDir, reporter(onProgress));
    if (wipe)
      for (const name of [...serviceNames, 'logs'])
        await rm(join(dataDir, name), { recursive: true, force: true });
    removeState(dataDir);
  });
}

/** What runs, asked of the services themselves. */
export async function status(options: { dataDir?: string } = {}): Promise<StackStatus> {
  const dataDir = directory(options.dataDir);
  const state = readState(dataDir);
  const list = await Promise.all(
    serviceNames.map(async (name): Promise<ServiceStatus> => {
      const address = (name === 'kafka' ? state?.kafka[0] : state?.[name]) ?? '';
      const running = state?.services[name];
      if (!state || address === '' || (state.mode === 'native' && !(running && alive(running)))) {
        return { name, state: 'stopped', address: '', pid: null };
      }
      const ports = running?.ports ?? { main: state.composePorts?.[name] ?? 0 };
      return {
        name,
        state: (await isReady(name, ports)) ? 'ready' : 'starting',
        address,
        pid: running?.pid ?? null,
      };
    }),
  );
  return { dataDir, mode: state?.mode ?? null, services: list };
}

/** The addresses of the stack that was started in this data directory, for other commands; or undefined. */
export function currentStack(dataDir?: string): StackAddresses | undefined {
  const state = readState(directory(dataDir));
  return state && addressesOf(state);
}
