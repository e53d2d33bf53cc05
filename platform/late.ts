import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { JobQueue } from '../infrastructure/queue/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import type { SchemaRegistry } from '../infrastructure/registry/port.ts';

/**
 * Adapters that are loaded at the first call of one of their functions. Their packages cost a tenth of a second and some ten
 * megabytes each, and most commands talk to one server or two.
 */
interface Late<T> {
  get(): Promise<T>;
  /** Closes it where it was loaded. */
  close(): Promise<void>;
}

function late<T extends { close(): Promise<void> }>(open: () => Promise<T>): Late<T> {
  let value: Promise<T> | undefined;
  return {
    get() {
      value ??= open();
      return value;
    },
    async close() {
      // What could not be opened has told so to whoever called.
      const opened = await value?.catch(() => undefined);
      await opened?.close();
    },
  };
}

export function lateKafka(open: () => Promise<Kafka>): Kafka {
  const { get, close } = late(open);
  return {
    producer: async () => (await get()).producer(),
    consumer: async (options) => (await get()).consumer(options),
    reader: async (positions, options) => (await get()).reader(positions, options),
    admin: async () => (await get()).admin(),
    close,
  };
}

export function lateStore(open: () => Promise<OnlineStore>): OnlineStore {
  const { get, close } = late(open);
  return {
    commit: async (commits) => (await get()).commit(commits),
    read: async (groups) => (await get()).read(groups),
    evictions: async (keys) => (await get()).evictions(keys),
    async *scan(prefix) {
      yield* (await get()).scan(prefix);
    },
    remove: async (keys) => (await get()).remove(keys),
    usage: async (prefix) => (await get()).usage(prefix),
    close,
  };
}

export function lateWarehouse(open: () => Promise<Warehouse>): Warehouse {
  const { get, close } = late(open);
  return {
    command: async (...call) => (await get()).command(...call),
    query: async <Row>(...call: Parameters<Warehouse['query']>) => (await get()).query<Row>(...call),
    ask: async (...call) => (await get()).ask(...call),
    stream: async (...call) => (await get()).stream(...call),
    insert: async (...call) => (await get()).insert(...call),
    insertRaw: async (...call) => (await get()).insertRaw(...call),
    close,
  };
}

export function lateRegistry(open: () => Promise<SchemaRegistry>): SchemaRegistry {
  const { get, close } = late(open);
  return {
    register: async (...call) => (await get()).register(...call),
    standing: async (...call) => (await get()).standing(...call),
    schemaById: async (id) => (await get()).schemaById(id),
    schemasById: async (ids) => (await get()).schemasById(ids),
    versions: async (subject) => (await get()).versions(subject),
    subjects: async () => (await get()).subjects(),
    latest: async (subject) => (await get()).latest(subject),
    remove: async (subject) => (await get()).remove(subject),
    close,
  };
}

export function lateQueue(open: () => Promise<JobQueue>): JobQueue {
  const { get, close } = late(open);
  return {
    ready: async () => (await get()).ready(),
    add: async (jobs) => (await get()).add(jobs),
    work: async (...call) => (await get()).work(...call),
    workers: async (lane) => (await get()).workers(lane),
    documents: {
      get: async (id) => (await get()).documents.get(id),
      all: async () => (await get()).documents.all(),
      set: async (...call) => (await get()).documents.set(...call),
    },
    close,
  };
}
