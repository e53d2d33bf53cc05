import type { Project } from '../../schemas/project.ts';
import { DAY, MINUTE } from '../../schemas/time.ts';
import type { ReplayItem, ReplayResult } from '../../streams/replay/replay.ts';
import type { LoopLimit } from '../../streams/replay/ticks.ts';
import { pick, seeded } from './random.ts';
import { trips } from './trips.ts';
import { ALL, type Process, type StreamName, World } from './world.ts';

export const FAULTS = [
  'kill',
  'send_before',
  'send_after',
  'send_partial',
  'store_before',
  'store_after',
  'tear',
  'rollback',
  'outage',
  'zombie',
  'evict',
] as const;
export type Fault = (typeof FAULTS)[number];

/** After so many the world is left alone, so that what is stuck is stuck for good. */
const MOST_FAULTS = 12;

export interface HistoryOptions {
  readonly seed: number;
  readonly trips: number;
  readonly faults: readonly Fault[];
  /** Mean virtual time between two faults, ms. */
  readonly faultEveryMs: number;
  readonly partitions?: number;
  /** Of the project; default the simulated one. */
  readonly directory?: string;
  /** Event time per wall time; default as fast as the clocks come back. */
  readonly speed?: number;
  /** One process for all, or several that share the partitions. */
  readonly layout?: ReadonlyArray<readonly StreamName[]>;
  /** What the project is to be instead of what its files say. */
  readonly edit?: (project: Project) => Project;
  /** What is replayed instead of the trips alone. */
  readonly change?: (trips: readonly ReplayItem[]) => readonly ReplayItem[];
  /** Versions of the model: their artefacts, what is said before the first event, and what the replay waits for. */
  readonly versions?: {
    readonly artefacts: ReadonlyMap<string, Uint8Array>;
    prepare(world: World, items: readonly ReplayItem[]): Promise<LoopLimit | undefined>;
  };
}

/** Runs a whole seeded history, replayed as fast as its clocks allow, under faults of the given kinds. */
export async function history(
  options: HistoryOptions,
): Promise<{ world: World; result: ReplayResult; faults: Fault[] }> {
  const random = seeded(options.seed);
  const world = await World.create({
    partitions: options.partitions ?? 3,
    hearingMs: () => Math.floor(random() * 200),
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    ...(options.edit === undefined ? {} : { edit: options.edit }),
    ...(options.versions === undefined ? {} : { artefacts: options.versions.artefacts }),
    step: async (operation, clock) => {
      if (operation !== 'poll') await clock.sleep(Math.floor(random() * 4));
    },
  });
  const made = trips({
    random,
    start: world.clock.now() - 60 * 24 * MINUTE,
    trips: options.trips,
    everyMs: pick(random, [500, 2_000, 10_000]),
    quietMs: pick(random, [0, 3 * MINUTE, 30 * MINUTE, 600 * MINUTE]),
    cars: pick(random, [1, 4, 200]),
  });
  const items = options.change?.(made) ?? made;
  let loop: LoopLimit | undefined;
  let prepared = false;
  void (options.versions?.prepare(world, items) ?? Promise.resolve(undefined)).then((limit) => {
    loop = limit;
    prepared = true;
  });
  await world.clock.runUntil(() => prepared, 60_000);
  const layout = options.layout ?? [ALL, ALL];
  const processes: Process[] = layout.map((streams) => world.start(streams));
  const struck: Fault[] = [];
  const bugs: unknown[] = [];
  const watch = (process: Process): Process => {
    process.done.catch((error: unknown) => bugs.push(error));
    return process;
  };
  for (const process of processes) watch(process);
  let result: ReplayResult | null = null;
  let failed: unknown = null;
  world.replay(items, 'replay', options.speed, loop).then(
    (value) => {
      result = value;
    },
    (error: unknown) => {
      failed = error;
    },
  );
  let snapshot = world.store.snapshot();
  let snapshotAt = world.clock.now();
  let nextFault = world.clock.now() + random() * options.faultEveryMs;

  const strike = (fault: Fault): void => {
    struck.push(fault);
    const index = Math.floor(random() * processes.length);
    const victim = processes[index];
    if (fault === 'kill') {
      victim?.kill();
      processes[index] = watch(world.start(layout[index] ?? ALL));
    } else if (fault === 'zombie') {
      const consumer =
        victim === undefined || victim.consumers.length === 0 ? undefined : pick(random, victim.consumers);
      if (consumer === undefined) return;
      world.broker.zombify(consumer);
      void world.clock.sleep(500).then(() => world.broker.revive(consumer));
    } else if (fault === 'send_before') world.broker.failNextSend('before');
    else if (fault === 'send_after') world.broker.failNextSend('after');
    else if (fault === 'send_partial') world.broker.failNextSend('partial');
    else if (fault === 'store_before') world.store.failNext('before');
    else if (fault === 'store_after') world.store.failNext('after');
    else if (fault === 'tear') world.store.tearNext();
    else if (fault === 'rollback') world.store.restore(snapshot);
    else if (fault === 'evict')
      world.store.evict([...world.store.snapshot().keys()].filter(() => random() < 0.3));
    else {
      world.store.setAvailable(false);
      void world.clock.sleep(800).then(() => world.store.setAvailable(true));
    }
  };

  const finished = await world.clock.runUntil(
    () => {
      const now = world.clock.now();
      if (now - snapshotAt > 300) {
        snapshot = world.store.snapshot();
        snapshotAt = now;
      }
      if (options.faults.length > 0 && now >= nextFault && result === null && struck.length < MOST_FAULTS) {
        nextFault = now + random() * 2 * options.faultEveryMs;
        strike(pick(random, options.faults));
      }
      return result !== null || failed !== null || bugs.length > 0;
    },
    options.speed === 1 ? DAY : 30 * 60_000,
  );
  if (failed !== null || bugs.length > 0) throw failed ?? bugs[0];
  if (!finished || result === null)
    throw new Error(`seed ${options.seed}: stuck after ${struck.join(', ') || 'no fault'}`);
  // A store that was rolled back at the very end shows to who looks, once a second.
  const settled = world.clock.now() + 3_000;
  void world.clock.sleep(3_000);
  await world.clock.runUntil(() => world.clock.now() >= settled, 10_000);
  let stopped = false;
  void Promise.all(processes.map((process) => process.stop())).then(() => {
    stopped = true;
  });
  await world.clock.runUntil(() => stopped, 60_000);
  return { world, result, faults: struck };
}
