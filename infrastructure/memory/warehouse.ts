import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WarehouseError } from '../clickhouse/errors.ts';
import type { Warehouse } from '../clickhouse/port.ts';
import { createWarehouse } from '../clickhouse/warehouse.ts';
import { startClickHouseServer } from '../local/clickhouse-server.ts';

/** The warehouse in this process: ClickHouse's own engine, so that SQL means the same, behind the same client. */
export interface MemoryWarehouse extends Warehouse {
  /** For curl and other clients. */
  readonly url: string;
  /** The next insert fails: before anything is stored, or after all of it is and the answer is lost. */
  failNext(when: 'before' | 'after'): void;
  /** While false every call fails as if the server were away. */
  setAvailable(available: boolean): void;
}

export interface MemoryWarehouseOptions {
  /** Kept when given; a temporary one, removed at the end, when not. One process can hold one at a time. */
  readonly dataDir?: string;
  readonly database?: string;
}

export async function createMemoryWarehouse(options: MemoryWarehouseOptions = {}): Promise<MemoryWarehouse> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'millrace-warehouse-')));
  const server = await startClickHouseServer({ dataDir, port: 0 });
  const inner = createWarehouse({ url: server.url, database: options.database ?? 'default' });
  return {
    ...withFaults(inner),
    url: server.url,
    async close() {
      await inner.close();
      await server.close();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A warehouse that a test can hurt. */
export function withFaults(inner: Warehouse): Omit<MemoryWarehouse, 'url'> {
  let fail: 'before' | 'after' | undefined;
  let available = true;
  function check(): void {
    if (!available) throw new WarehouseError('unreachable', 'The warehouse is switched off by a test.');
  }
  async function faulty(store: () => Promise<void>): Promise<void> {
    check();
    const failing = fail;
    fail = undefined;
    if (failing === 'before')
      throw new WarehouseError('overloaded', 'A test failed this insert before it was stored.');
    await store();
    if (failing === 'after')
      throw new WarehouseError('answer_lost', 'A test lost the answer of this insert.');
  }
  return {
    command: async (sql, parameters) => {
      check();
      await inner.command(sql, parameters);
    },
    query: async (sql, parameters) => {
      check();
      return inner.query(sql, parameters);
    },
    ask: async (sql, limits) => {
      check();
      return inner.ask(sql, limits);
    },
    stream: async (sql, parameters) => {
      check();
      return inner.stream(sql, parameters);
    },
    insert: (table, rows, options) => faulty(() => inner.insert(table, rows, options)),
    insertRaw: (table, columns, format, bytes, options) =>
      faulty(() => inner.insertRaw(table, columns, format, bytes, options)),
    close: () => inner.close(),
    failNext(when) {
      fail = when;
    },
    setAvailable(value) {
      available = value;
    },
  };
}
