import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clickhouse } from './clickhouse.ts';
import { StackError } from './errors.ts';
import { kafka } from './kafka.ts';
import { reservePort } from './ports.ts';
import { alive, startDaemon, stopProcess, tail } from './processes.ts';
import { registry } from './registry.ts';
import type { Report, Service, ServiceName } from './service.ts';
import { empty, type RunningService, readState, removeState, type StackState, writeState } from './state.ts';
import { valkey } from './valkey.ts';

export const services: Readonly<Record<ServiceName, Service>> = {
  kafka,
  redis: valkey,
  registry,
  clickhouse,
};

/** A service that can be reached answers its own protocol; anything else, a refused connection too, is no. */
export async function isReady(name: ServiceName, ports: Readonly<Record<string, number>>): Promise<boolean> {
  return services[name].ready(ports).catch(() => false);
}

async function waitUntilReady(
  service: Service,
  running: RunningService,
  logFile: string,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + service.startWithinMs;
  while (!(await isReady(service.name, running.ports))) {
    if (signal.aborted)
      throw new StackError('interrupted', `Interrupted while ${service.name} was starting.`);
    if (!alive(running)) {
      throw new StackError(
        'start_failed',
        `${service.name} stopped while starting. The end of ${logFile}:\n${tail(logFile, 8)}`,
      );
    }
    if (Date.now() > deadline) {
      throw new StackError(
        'not_ready',
        `${service.name} did not answer within ${service.startWithinMs / 1000} s. The end of ${logFile}:\n${tail(logFile, 8)}`,
        { retriable: true },
      );
    }
    await sleep(50);
  }
}

type Reserved = { ports: Record<string, number>; release(): void };

async function choosePorts(
  service: Service,
  before: RunningService | undefined,
  taken: Set<number>,
): Promise<Reserved> {
  const chosen: Record<string, number> = {};
  const releases: (() => void)[] = [];
  for (const [name, preferred] of Object.entries(service.ports)) {
    const earlier = before?.ports[name];
    const { port, release } = await reservePort(
      earlier === undefined ? [preferred] : [earlier, preferred],
      taken,
    );
    taken.add(port);
    chosen[name] = port;
    releases.push(release);
  }
  const release = () => {
    for (const one of releases) one();
  };
  return { ports: chosen, release };
}

function record(state: StackState, name: ServiceName, running: RunningService): void {
  state.services[name] = running;
  const address = services[name].address(running.ports.main ?? 0);
  if (name === 'kafka') state.kafka = [address];
  else state[name] = address;
}

/**
 * Starts what is asked for and does not run; what runs is left alone. State is written before a daemon is
 * waited for, so that whatever happens to us, the next `up` or `down` finds it.
 */
export async function upNative(
  options: { dataDir: string; cacheDir: string; wanted: readonly ServiceName[]; signal: AbortSignal },
  report: (service: ServiceName) => Report,
): Promise<StackState> {
  const { dataDir, cacheDir, wanted } = options;
  // When one service cannot start, waiting for the others would only delay saying so.
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const state = readState(dataDir) ?? empty('native');
  // Programs are fetched at once for all; ports are chosen one by one, before anything starts.
  const taken = new Set(Object.values(state.services).flatMap((running) => Object.values(running.ports)));
  const reserved: Partial<Record<ServiceName, Reserved>> = {};
  const running = new Set<ServiceName>();
  for (const name of wanted) {
    const before = state.services[name];
    if (before && alive(before)) {
      running.add(name);
      continue;
    }
    for (const port of Object.values(before?.ports ?? {})) taken.delete(port);
    reserved[name] = await choosePorts(services[name], before, taken);
  }

  const started: ServiceName[] = [];
  const starting = new Map<ServiceName, Promise<void>>();
  const start = async (name: ServiceName): Promise<void> => {
    const service = services[name];
    const tell = report(name);
    const logFile = join(dataDir, 'logs', `${name}.log`);
    const there = state.services[name];
    if (running.has(name) && there) {
      await waitUntilReady(service, there, logFile, signal);
      tell('reuse', service.address(there.ports.main ?? 0));
      return;
    }
    const installed = await service.install({ cacheDir, report: tell, signal });
    await Promise.all(service.needs.map((need) => starting.get(need)));
    if (signal.aborted) throw new StackError('interrupted', `Interrupted before ${name} was started.`);
    const ports = reserved[name]?.ports ?? {};
    const home = join(dataDir, name);
    mkdirSync(home, { recursive: true });
    const launch = await service.launch({
      installed,
      dataDir: home,
      ports,
      kafka: state.kafka[0] ?? '',
      signal,
    });
    if (signal.aborted) throw new StackError('interrupted', `Interrupted before ${name} was started.`);
    const daemon = { ...startDaemon(launch, logFile), ports };
    started.push(name);
    record(state, name, daemon);
    writeState(dataDir, state);
    tell('start', service.address(ports.main ?? 0));
    await waitUntilReady(service, daemon, logFile, signal);
    await service.prepare?.(ports);
    tell('ready', service.address(ports.main ?? 0));
  };
  for (const name of wanted) {
    const one = Promise.resolve().then(() => start(name));
    one.catch(() => failed.abort());
    starting.set(name, one);
  }

  const ended = await Promise.allSettled(starting.values());
  for (const one of Object.values(reserved)) one.release();
  const failures = ended.filter((end) => end.status === 'rejected').map((end) => end.reason as unknown);
  if (failures.length === 0) return state;
  // Nothing half-left: what this call started goes, what ran before stays.
  await Promise.all(started.map((name) => stopOne(name, state)));
  for (const name of started) forget(state, name);
  if (Object.keys(state.services).length === 0) removeState(dataDir);
  else writeState(dataDir, state);
  throw (
    failures.find((failure) => !(failure instanceof StackError && failure.code === 'interrupted')) ??
    failures[0]
  );
}

function forget(state: StackState, name: ServiceName): void {
  delete state.services[name];
  if (name === 'kafka') state.kafka = [];
  else state[name] = '';
}

async function stopOne(name: ServiceName, state: StackState) {
  const running = state.services[name];
  return running ? stopProcess(running, services[name].stopWithinMs) : 'gone';
}

/** Stops the dependants first: the registry while Kafka still answers it. */
export async function downNative(dataDir: string, report: (service: ServiceName) => Report): Promise<void> {
  const state = readState(dataDir);
  if (!state) return;
  const names = Object.keys(state.services) as ServiceName[];
  const stop = async (name: ServiceName) => {
    const how = await stopOne(name, state);
    report(name)(
      'stop',
      how === 'killed' ? `did not stop within ${services[name].stopWithinMs / 1000} s, killed` : how,
    );
  };
  const dependants = names.filter((name) => services[name].needs.length > 0);
  await Promise.all(dependants.map(stop));
  await Promise.all(names.filter((name) => !dependants.includes(name)).map(stop));
}
