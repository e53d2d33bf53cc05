import { randomUUID } from 'node:crypto';
import { createArtefactDirectory } from '../infrastructure/artefacts/directory.ts';
import type { ArtefactStore } from '../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { JobQueue } from '../infrastructure/queue/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import type { SchemaRegistry } from '../infrastructure/registry/port.ts';
import type { Clock } from '../schemas/clock.ts';
import { keys } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import type { Codecs, OnForeign } from '../streams/runtime/codecs.ts';
import { lateKafka, lateQueue, lateRegistry, lateStore, lateWarehouse } from './late.ts';

/**
 * Everything a project's streams and tools talk to. A part is opened when it is first asked for, so a tool
 * needs only the servers that it uses.
 */
export interface Platform {
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly warehouse: Warehouse;
  readonly registry: SchemaRegistry;
  /** Bytes of models by their SHA-256. */
  readonly artefacts: ArtefactStore;
  readonly clock: Clock;
  /** Runs of pipelines and their steps. */
  readonly queue: JobQueue;
  /** All codecs of the project, opened once. Throws RegistryError. */
  codecs(): Promise<Codecs>;
  /** Closes what was opened. */
  close(): Promise<void>;
}

export interface PlatformOptions {
  /** Directory that keeps the bytes of models; every process that scores must see it. */
  readonly artefacts: string;
  /** Hears of records on our topics that are none of ours. */
  readonly onForeign?: OnForeign;
  /** Hears which part of the online store is waited for (a slot of a Redis Cluster on its way), in a sentence; null: no longer. */
  readonly onStoreWait?: (where: string, sentence: string | null) => void;
  readonly logger?: {
    debug(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

export const wallClock: Clock = {
  now: Date.now,
  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
};

interface Closing {
  close(): Promise<void>;
}

/** Parts that are opened once, when first used, and closed in the opposite order. */
function createParts() {
  const opened: Closing[] = [];
  return {
    part<T extends Closing>(open: () => T): () => T {
      let value: T | undefined;
      return () => {
        if (value === undefined) {
          value = open();
          opened.push(value);
        }
        return value;
      };
    },
    async close(): Promise<void> {
      for (const one of opened.splice(0).reverse()) await one.close();
    },
  };
}

const codecsModule = () => import('../streams/runtime/codecs.ts');

/** The servers that a project's connections name. What talks to one is loaded when it is first called. */
export function openServers(project: Project, options: PlatformOptions): Platform {
  const { connections } = project;
  const { logger } = options;
  const parts = createParts();
  const kafka = parts.part(() =>
    lateKafka(async () => {
      const { createKafka } = await import('../infrastructure/kafka/driver.ts');
      const clientId = `millrace-${randomUUID().slice(0, 8)}`;
      return createKafka(connections, { clientId, ...(logger === undefined ? {} : { logger }) });
    }),
  );
  const store = parts.part(() =>
    lateStore(async () => {
      const { createRedisStore } = await import('../infrastructure/redis/store.ts');
      return createRedisStore({ ...connections.redis, onWait: options.onStoreWait });
    }),
  );
  const warehouse = parts.part(() =>
    lateWarehouse(async () =>
      (await import('../infrastructure/clickhouse/warehouse.ts')).createWarehouse(connections.clickhouse),
    ),
  );
  const registry = parts.part(() =>
    lateRegistry(async () =>
      (await import('../infrastructure/registry/client.ts')).createRegistry(connections.registry),
    ),
  );
  const queue = parts.part(() =>
    lateQueue(async () => {
      const { createBullQueue } = await import('../infrastructure/queue/bullmq.ts');
      return createBullQueue({ server: connections.queue, prefix: keys.pipelines(project.prefix) });
    }),
  );
  return {
    get kafka() {
      return kafka();
    },
    get store() {
      return store();
    },
    get warehouse() {
      return warehouse();
    },
    get registry() {
      return registry();
    },
    get queue() {
      return queue();
    },
    artefacts: createArtefactDirectory(options.artefacts),
    clock: wallClock,
    codecs: once(async () => (await codecsModule()).openCodecs(project, registry(), options.onForeign)),
    close: parts.close,
  };
}

/** The same in this process, on the twins, with ClickHouse's own engine. */
export async function openTwins(project: Project, options: PlatformOptions): Promise<Platform> {
  const [broker, queues, registries, stores, warehouses] = await Promise.all([
    import('../infrastructure/memory/broker.ts'),
    import('../infrastructure/memory/queue.ts'),
    import('../infrastructure/memory/registry.ts'),
    import('../infrastructure/memory/store.ts'),
    import('../infrastructure/memory/warehouse.ts'),
  ]);
  const registry = registries.createMemoryRegistry();
  const store = stores.createMemoryStore();
  const kafka = broker.createMemoryBroker(wallClock).kafka();
  const warehouse = await warehouses.createMemoryWarehouse();
  const queue = queues.createMemoryQueue();
  return {
    kafka,
    store,
    warehouse,
    registry,
    artefacts: createArtefactDirectory(options.artefacts),
    clock: wallClock,
    queue,
    codecs: once(async () => (await codecsModule()).openCodecs(project, registry, options.onForeign)),
    async close() {
      await queue.close();
      await kafka.close();
      await store.close();
      await warehouse.close();
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  return () => {
    value ??= make().catch((error: unknown) => {
      // What failed once may succeed later.
      value = undefined;
      throw error;
    });
    return value;
  };
}
