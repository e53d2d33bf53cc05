import { fileURLToPath } from 'node:url';
import { loadProject } from '../../config/load.ts';
import type { Consumer, Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { createMemoryBroker, type MemoryBroker, type Operation } from '../../infrastructure/memory/broker.ts';
import { VirtualClock } from '../../infrastructure/memory/clock.ts';
import { createMemoryStore, type MemoryStore } from '../../infrastructure/memory/store.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { partitionOf } from '../../processors/partition.ts';
import type { Clock } from '../../schemas/clock.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { DeadLetter } from '../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { createFeatures } from '../../streams/features/features.ts';
import { followModels } from '../../streams/inference/follow-models.ts';
import { createInference, type InferenceDeps } from '../../streams/inference/inference.ts';
import type { ScoringModel } from '../../streams/inference/predict.ts';
import { createIngest } from '../../streams/ingest/ingest.ts';
import { isLocalModel } from '../../streams/local/is-local.ts';
import { type ReplayItem, type ReplayResult, replay } from '../../streams/replay/replay.ts';
import type { LoopLimit } from '../../streams/replay/ticks.ts';
import { readClock } from '../../streams/runtime/clock-record.ts';
import { type Codecs, openCodecs } from '../../streams/runtime/codecs.ts';
import { ALL_GUARDS, type Guards } from '../../streams/runtime/guards.ts';
import type { Stream } from '../../streams/runtime/stream.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { Pause, pausableKafka } from './pausable.ts';
import type { Accepted } from './truth.ts';

/** One process: a connection of its own to everything, and the streams it runs. */
export interface Process {
  readonly kafka: Kafka;
  readonly consumers: Consumer[];
  readonly done: Promise<void>;
  /** SIGSTOP and SIGCONT. */
  readonly pause: Pause;
  /** kill -9: nothing of it takes effect any more. */
  kill(): void;
  stop(): Promise<void>;
}

export type StreamName = 'ingest' | 'features' | 'inference';
export const ALL: readonly StreamName[] = ['ingest', 'features', 'inference'];

/** A score that depends on every bit of the vector, so that no wrong value hides. */
export const FIXED: ScoringModel = {
  version: 1,
  artefact: 'fixed',
  layoutHash: '',
  threshold: 0.5,
  score: (vector) => vector.reduce((sum, value, i) => sum + (Number.isNaN(value) ? 0.1 : value) / (i + 1), 0),
};

/** What is left of inference where a model is scored by ingest. */
const NOTHING: Stream = { name: 'inference', run: async () => {} };

export interface WorldOptions {
  /** The project's directory; default the simulated one. */
  readonly directory?: string;
  readonly partitions?: number;
  /** What its clock says at first, epoch ms. */
  readonly now?: number;
  /** Before each operation takes effect and before it is answered. */
  readonly step?: (operation: Operation, clock: VirtualClock) => Promise<void>;
  /** Rules of the data plane that are on; default: all. */
  readonly guards?: Guards;
  /** Hears what rules of the data plane held back, in all processes. */
  readonly onGuard?: (rule: keyof Guards) => void;
  /** What the project is to be instead of what its files say. */
  readonly edit?: (project: Project) => Project;
  /** Most records of the next poll of anybody, at most what the stream asked for. */
  readonly pollRecords?: (asked: number) => number;
  /** Versions of the model as the registry has them, with their artefacts by address; default: one fixed champion. */
  readonly artefacts?: ReadonlyMap<string, Uint8Array>;
  /** How late a process hears what the registry says, ms of wall time. */
  readonly hearingMs?: () => number;
}

/** The whole platform on the in-memory twins, in virtual time. */
export class World {
  readonly clock = new VirtualClock(Date.UTC(2026, 0, 1));
  readonly project: Project;
  readonly model: Model;
  readonly source: Source;
  readonly store: MemoryStore;
  readonly broker: MemoryBroker;
  readonly codecs: Codecs;
  readonly failures: Error[] = [];
  readonly #pollRecords: (asked: number) => number;
  readonly #artefacts: ReadonlyMap<string, Uint8Array> | null;
  readonly #hearingMs: () => number;
  readonly #guards: Guards;
  readonly #onGuard: (rule: keyof Guards) => void;

  private constructor(
    options: WorldOptions,
    project: Project,
    store: MemoryStore,
    broker: MemoryBroker,
    codecs: Codecs,
    clock: VirtualClock,
  ) {
    const [model] = project.models;
    const [source] = project.sources;
    if (model === undefined || source === undefined)
      throw new Error('a simulated project has a source and a model');
    this.#guards = options.guards ?? ALL_GUARDS;
    this.#onGuard = options.onGuard ?? (() => {});
    this.#hearingMs = options.hearingMs ?? (() => 0);
    this.#artefacts = options.artefacts ?? null;
    this.#pollRecords = options.pollRecords ?? ((asked) => asked);
    this.project = project;
    this.model = model;
    this.source = source;
    this.store = store;
    this.broker = broker;
    this.codecs = codecs;
    this.clock = clock;
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const { step, partitions = 3 } = options;
    const directory = options.directory ?? fileURLToPath(new URL('./project', import.meta.url));
    const { project, codecs } = await open(directory, partitions, options.edit);
    const clock = new VirtualClock(options.now ?? Date.UTC(2026, 0, 1));
    const broker = createMemoryBroker(
      clock,
      step === undefined ? {} : { step: (operation) => step(operation, clock) },
    );
    const store = createMemoryStore({ now: () => clock.now() });
    const admin = await broker.kafka().admin();
    await admin.createTopics(topicSpecs(project));
    return new World(options, project, store, broker, codecs, clock);
  }

  /**
   * `definition`: another one of the same sources, as after an edit. `apart`: what ingest could score by itself is left to inference, as
   * while a definition before is in service.
   */
  start(
    streams: readonly StreamName[],
    definition: { readonly project: Project; readonly model: Model } = this,
    { apart = false }: { readonly apart?: boolean } = {},
  ): Process {
    const inner = this.broker.kafka();
    const pause = new Pause();
    const connection = pausableKafka(inner, pause);
    const consumers: Consumer[] = [];
    const kafka: Kafka = {
      ...connection,
      consumer: async (asked) => {
        const limit = this.#pollRecords;
        const consumer = await inner.consumer({
          ...asked,
          get maxPollRecords() {
            return limit(asked.maxPollRecords);
          },
        });
        consumers.push(consumer);
        return pause.wrap(consumer);
      },
    };
    let dead = false;
    const store = pause.wrap(mortal(this.store, () => dead));
    const controller = new AbortController();
    const telemetry = {
      ...SILENT,
      failure: (_: string, error: Error) => void this.failures.push(error),
      guarded: this.#onGuard,
    };
    const { codecs } = this;
    const clock = pause.wrap<Clock>(this.clock);
    const { project, model } = definition;
    const deps = { project, kafka, store, codecs, clock, telemetry, guards: this.#guards };
    const running = streams.map((name) => {
      const local = !apart && isLocalModel(project, model);
      if (name === 'ingest') return local ? this.#scoringIngest(deps, model) : createIngest(deps);
      if (name === 'features') return createFeatures(deps);
      return local ? NOTHING : this.#inference(deps, model);
    });
    const done = Promise.all(running.map((stream) => stream.run(controller.signal))).then(
      () => {},
      (error: unknown) => {
        if (!dead) throw error;
      },
    );
    done.catch(() => {});
    return {
      kafka,
      consumers,
      done,
      pause,
      kill: () => {
        dead = true;
        pause.goOn();
        this.broker.kill(inner);
        controller.abort();
      },
      stop: async () => {
        controller.abort();
        await done;
      },
    };
  }

  #scoringIngest(deps: Omit<InferenceDeps, 'model' | 'models'>, model: Model): Stream {
    const roles = { champion: { ...FIXED, layoutHash: model.layoutHash }, shadows: [] };
    const models = new Map([[model.name, { current: () => () => roles, refresh: async () => {} }]]);
    return createIngest({ ...deps, models });
  }

  #inference(deps: Omit<InferenceDeps, 'model' | 'models'>, model: Model): Stream {
    const artefacts = this.#artefacts;
    const hearingMs = this.#hearingMs;
    const slow: Kafka = {
      ...deps.kafka,
      reader: async (positions) => {
        const reader = await deps.kafka.reader(positions);
        return {
          ...reader,
          poll: async (maxWaitMs) => {
            await deps.clock.sleep(hearingMs());
            return reader.poll(maxWaitMs);
          },
        };
      },
    };
    if (artefacts === null) {
      const roles = { champion: { ...FIXED, layoutHash: model.layoutHash }, shadows: [] };
      return createInference({
        ...deps,
        model,
        models: { current: () => () => roles, refresh: async () => {} },
      });
    }
    return {
      name: 'inference',
      async run(signal) {
        const models = await followModels({
          ...deps,
          kafka: slow,
          prefix: deps.project.prefix,
          model: model.name,
          artefacts: { get: async (address) => artefacts.get(address) ?? new Uint8Array() },
        });
        try {
          await createInference({ ...deps, model, models }).run(signal);
        } finally {
          await models.close();
        }
      },
    };
  }

  replay(
    items: readonly ReplayItem[] | AsyncIterable<readonly ReplayItem[]>,
    name = 'replay',
    speed = Number.POSITIVE_INFINITY,
    loop?: LoopLimit,
  ): Promise<ReplayResult> {
    const batches = Array.isArray(items) ? pieces(items) : (items as AsyncIterable<readonly ReplayItem[]>);
    const { project, store, codecs, clock } = this;
    return replay(
      { project, kafka: this.broker.kafka(), store, codecs, clock },
      {
        source: this.source.name,
        name,
        items: batches,
        speed,
        signal: new AbortController().signal,
        ...(loop === undefined ? {} : { loop }),
      },
    );
  }

  /** Sends items as a live producer would: each at its moment after `start`, without any clock. */
  async produceLive(items: readonly ReplayItem[], start: number): Promise<void> {
    const producer = await this.broker.kafka().producer();
    const topic = topics.raw(this.project.prefix, this.source.name);
    const partitions = this.project.sources[0]?.partitions ?? 1;
    let latest = start;
    for (const { key, time, event } of items) {
      latest = Math.max(latest, time);
      await this.clock.sleep(latest - this.clock.now());
      if (event === null) continue;
      const value = this.codecs.encodeRaw(this.source.name, event);
      await producer.send([{ topic, partition: partitionOf(key, partitions), key: Buffer.from(key), value }]);
    }
  }

  /** Events that ingest accepted, repeats dropped, by source partition. */
  async accepted(source: Source = this.source): Promise<Accepted[]> {
    const codec = this.codecs.validated(source.name);
    const tails = await readTails(
      this.broker.kafka(),
      topics.validated(this.project.prefix, source.name),
      1e9,
    );
    return tails.flatMap((tail, partition) =>
      firstOf(
        decodeAll(tail, (bytes) => ({ ...codec.decode(bytes), partition, source: source.name })),
        (event) => event.offset,
      ),
    );
  }

  /** Predictions that count (the first of each id), and how many repeats there were. */
  async predictions(): Promise<{ first: Prediction[]; repeats: number }> {
    const tails = await readTails(
      this.broker.kafka(),
      topics.predictions(this.project.prefix, this.model.name),
      1e9,
    );
    const all = tails.flatMap((tail) => decodeAll(tail, (bytes) => this.codecs.predictions.decode(bytes)));
    const first = firstOf(all, ({ id }) => id);
    return { first, repeats: all.length - first.length };
  }

  /** Event time that has come through every partition, epoch ms: the least clock among the predictions. */
  async passed(): Promise<number> {
    const name = topics.predictions(this.project.prefix, this.model.name);
    const tails = await readTails(this.broker.kafka(), name, 1e9);
    const clocks = tails.map((tail) =>
      tail.map((record) => readClock(record)?.time ?? Number.NEGATIVE_INFINITY),
    );
    return Math.min(...clocks.map((times) => Math.max(Number.NEGATIVE_INFINITY, ...times)));
  }

  /** Every record of the shadow topic and of the predictions topic, with when it was appended. */
  async answers(
    topic: 'shadow' | 'predictions',
  ): Promise<Array<{ prediction: Prediction; appendTime: number }>> {
    const name = topics[topic](this.project.prefix, this.model.name);
    const tails = await readTails(this.broker.kafka(), name, 1e9);
    return tails
      .flat()
      .flatMap(({ value, appendTime }) =>
        value === null ? [] : [{ prediction: this.codecs.predictions.decode(value), appendTime }],
      );
  }

  async deadLetters(source: Source = this.source): Promise<DeadLetter[]> {
    const tails = await readTails(
      this.broker.kafka(),
      topics.deadLetters(this.project.prefix, source.name),
      1e9,
    );
    return firstOf(
      tails.flatMap((tail) => decodeAll(tail, (bytes) => this.codecs.deadLetters.decode(bytes))),
      (letter) => `${letter.sourcePartition}:${letter.sourceOffset}:${letter.writer}`,
    );
  }
}

interface Opened {
  readonly project: Project;
  readonly codecs: Codecs;
}

type Edit = (project: Project) => Project;
const AS_DECLARED: Edit = (project) => project;
const opened = new WeakMap<Edit, Map<string, Promise<Opened>>>();

/** A project and its codecs, which keep nothing of a world: opened once for all of them that edit it by the same function. */
function open(directory: string, partitions: number, edit: Edit = AS_DECLARED): Promise<Opened> {
  const known = opened.get(edit) ?? new Map<string, Promise<Opened>>();
  opened.set(edit, known);
  const key = `${directory} ${partitions}`;
  let one = known.get(key);
  if (one === undefined) {
    one = openAnew(directory, partitions, edit);
    known.set(key, one);
  }
  return one;
}

async function openAnew(directory: string, partitions: number, edit: Edit): Promise<Opened> {
  const project = edit(loadProject(directory, { environment: {}, partitions }));
  const ids = new Map<string, number>();
  const codecs = await openCodecs(project, {
    async register(_subject, schema) {
      const text = JSON.stringify(schema);
      const id = ids.get(text) ?? ids.size + 1;
      ids.set(text, id);
      return id;
    },
    async schemaById(id) {
      return [...ids].find(([, known]) => known === id)?.[0] ?? null;
    },
    versions: async () => new Map(),
  });
  return { project, codecs };
}

async function* pieces(items: readonly ReplayItem[]): AsyncGenerator<readonly ReplayItem[]> {
  for (let i = 0; i < items.length; i += 100) yield items.slice(i, i + 100);
}

function decodeAll<T>(records: readonly KafkaRecord[], decode: (bytes: Uint8Array) => T): T[] {
  return records.flatMap(({ value }) => (value === null ? [] : [decode(value)]));
}

function firstOf<T>(items: ReadonlyArray<T | null>, key: (item: T) => string | number): T[] {
  const seen = new Map<string | number, T>();
  for (const item of items) if (item !== null && !seen.has(key(item))) seen.set(key(item), item);
  return [...seen.values()];
}

/** A process' own way to the store: once it is killed, nothing gets through. */
function mortal(store: OnlineStore, dead: () => boolean): OnlineStore {
  const check = () => {
    if (dead()) throw new Killed('this process was killed');
  };
  return {
    ...store,
    async commit(commits) {
      check();
      const results = await store.commit(commits);
      check();
      return results;
    },
    async read(groups) {
      check();
      return store.read(groups);
    },
  };
}

class Killed extends MillraceError {
  readonly code = 'killed';
  readonly retriable = false;
}
