import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Silence } from '../../models/alerting/deliveries.ts';
import { tables } from '../../schemas/names.ts';

/** Silences that hold after `now` (wall clock, epoch ms), the one that ends first in front. Throws WarehouseError. */
export async function readSilences(
  warehouse: Pick<Warehouse, 'query'>,
  prefix: string,
  now: number,
): Promise<readonly Silence[]> {
  return warehouse.query<Silence>(
    `SELECT id, rule, model, subject, toUnixTimestamp64Milli(until) AS until, by, reason
     FROM (SELECT * FROM ${quoteName(tables.silences(prefix))} FINAL
       WHERE until > fromUnixTimestamp64Milli({now:Int64}) ORDER BY until, id)`,
    { now },
  );
}

/** Keeps a silence; one of the same id is replaced, so that one whose `until` is past ends it. `at`: wall clock, epoch ms. */
export async function writeSilence(
  warehouse: Pick<Warehouse, 'insert'>,
  prefix: string,
  silence: Silence,
  at: number,
): Promise<void> {
  const row = { ...silence, until: new Date(silence.until).toISOString(), at: new Date(at).toISOString() };
  await warehouse.insert(tables.silences(prefix), [row], { token: `${silence.id} ${at}` });
}
