import { afterAll, beforeAll, expect, it } from 'vitest';
import { CAME_AT } from '../../../infrastructure/clickhouse/tables.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

it('a dead letter that is not told when its record came, came when it was refused, and not in 1970', async () => {
  const came = (appended: number) =>
    warehouse.query<{ at: number }>(
      `SELECT toUnixTimestamp64Milli(${CAME_AT}) AS at
       FROM (SELECT fromUnixTimestamp64Milli(toInt64(${appended})) AS append_time, fromUnixTimestamp64Milli(toInt64(1780000000000)) AS refused_time)`,
    );
  expect(await came(1_770_000_000_000)).toEqual([{ at: 1_770_000_000_000 }]);
  expect(await came(0)).toEqual([{ at: 1_780_000_000_000 }]);
});
