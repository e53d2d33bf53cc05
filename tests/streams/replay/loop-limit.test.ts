import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { writeTick } from '../../../monitoring/progress.ts';
import { DAY } from '../../../schemas/time.ts';
import { createLoopLimit } from '../../../streams/replay/loop-limit.ts';
import { root } from '../../architecture/sources.ts';

const APRIL = Date.UTC(2001, 3, 1);

it('holds a replay while ClickHouse is away, as a tick does; one that never answered is a fault', async () => {
  const project = loadProject(join(root, 'config'), { environment: {}, prefix: 'loop-test' });
  const warehouse = await createMemoryWarehouse();
  await ensureTables(warehouse, project);
  const told: string[] = [];
  const loop = createLoopLimit({ warehouse, project, onAway: ({ code }) => told.push(code) });

  warehouse.setAvailable(false);
  await expect(loop.next(APRIL)).rejects.toMatchObject({ code: 'unreachable' });
  warehouse.setAvailable(true);
  expect(await loop.next(APRIL), 'the first tick waits to be finished').toBe(APRIL + DAY);

  await writeTick(warehouse, project.prefix, APRIL + DAY, 'finished', {}, Date.now());
  warehouse.setAvailable(false);
  for (let asked = 0; asked < 3; asked += 1) expect(await loop.next(APRIL)).toBe(APRIL + DAY);
  expect(told, 'told once').toEqual(['unreachable']);
  warehouse.setAvailable(true);
  expect(await loop.next(APRIL)).toBe(APRIL + 2 * DAY);
  await warehouse.close();
});
