import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { createWarehouse } from '../infrastructure/clickhouse/warehouse.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../infrastructure/redis/port.ts';
import { createRedisStore } from '../infrastructure/redis/store.ts';
import type { Clock } from '../schemas/clock.ts';
import type { Project } from '../schemas/project.ts';

/**
 * Everything a project's streams and tools talk to. A part is opened when it is first asked for, so a tool
 * needs only the servers that it uses.
 */
export interface Platform {
  readonly store: OnlineStore;
  readonly warehouse: Warehouse;
  readonly clock: Clock;
  /** Closes what was opened. */
  close(): Promise<void>;
}

export const wallClock: Clock = {
  now: Date.now,
  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
};

interface Closing {
  close(): Promise<void>;
}

/** Parts that are opened once, when first used, and closed in the opposite order. */
export function createParts() {
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

/** The servers that a project's connections name. */
export function openServers(project: Project): Platform {
  const { connections } = project;
  const parts = createParts();
  const store = parts.part(() => createRedisStore(connections.redis));
  const warehouse = parts.part(() => createWarehouse(connections.clickhouse));
  return {
    get store() {
      return store();
    },
    get warehouse() {
      return warehouse();
    },
    clock: wallClock,
    close: parts.close,
  };
}

export type { Kafka };
