import { beforeEach, describe, expect, it } from 'vitest';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createWarehouse } from '../../../infrastructure/clickhouse/warehouse.ts';
import { createMemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { inMemory } from '../../../infrastructure/readers/events.ts';
import { StateNeedsBackfill } from '../../../processors/apply-block.ts';
import { decodeMeta, encodeMeta, freshMeta, REBUILD } from '../../../processors/meta.ts';
import { keys } from '../../../schemas/names.ts';
import { HOUR } from '../../../schemas/time.ts';
import type { View } from '../../../schemas/view.ts';
import type { FeaturesContext } from '../../../streams/features/context.ts';
import { isAbandoned, Rebuilder } from '../../../streams/features/rebuild.ts';
import { importHistory } from '../../../streams/history/import.ts';
import { SILENT } from '../../../streams/runtime/telemetry.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { featuresContext } from './context.ts';

let plane: Plane;
let context: FeaturesContext;
let view: View;
let needed: StateNeedsBackfill;
let notes: string[];
const { signal } = new AbortController();

beforeEach(async () => {
  plane = await createPlane();
  notes = [];
  const telemetry = { ...SILENT, note: (_: string, message: string) => void notes.push(message) };
  context = { ...(await featuresContext(plane)), telemetry };
  view = plane.view('zone');
  const of = { view: view.id, until: plane.clock.now(), whole: false };
  needed = new StateNeedsBackfill(of, "Its state is gone. Run 'millrace backfill state --to TIME'.");
});

const nowhere = () => createWarehouse({ url: 'http://127.0.0.1:1', database: 'default' });
const lockKey = () => keys.rebuild(plane.project.prefix, view.id);
const lock = (holder: string) => ({
  metaKey: lockKey(),
  expected: null,
  next: Buffer.from(holder),
  sets: [],
  appends: [],
  deletes: [],
  logTtlMs: 15_000,
  metaTtlMs: 15_000,
});

describe('a lost state that only the archive can give', () => {
  it('names the command where there is no archive, and while an operator may be at it', async () => {
    await expect(new Rebuilder(context).rebuild(needed, signal)).rejects.toBe(needed);
    const warehouse = nowhere();
    const rebuilder = new Rebuilder({ ...context, warehouse });
    await expect(rebuilder.rebuild(needed, signal)).rejects.toBe(needed);
    plane.clock.time += 14_000;
    await expect(rebuilder.rebuild(needed, signal)).rejects.toBe(needed);
    expect(notes).toEqual([]);
    await warehouse.close();
  });

  it('says why the archive cannot give it now, beside the command, and lets another try', async () => {
    const warehouse = nowhere();
    const rebuilder = new Rebuilder({ ...context, warehouse, rebuildAfterMs: 0 });
    const failure: unknown = await rebuilder.rebuild(needed, signal).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'state_needs_backfill', retriable: true, view: view.id });
    expect(String(failure)).toMatch(/millrace backfill state --to TIME.*by itself now: ClickHouse/s);
    expect(notes).toEqual(['rebuilding from the archive']);
    expect(await plane.store.read([[lockKey()]])).toEqual([[null]]);
    await warehouse.close();
  });

  it('is whole again where the backfill that made it said so', async () => {
    const { project, source, store, clock } = plane;
    const warehouse = await createMemoryWarehouse();
    await ensureTables(warehouse, project);
    const first = clock.now() - HOUR;
    const file = inMemory('trips', 'a'.repeat(64), [tripStart('x', first)], true);
    const range = { from: null, to: null, now: clock.now() };
    await importHistory({ project, warehouse, source, file, ...range });
    const bases: Array<number | null> = [];
    for (const whole of [false, true]) {
      const lost = new StateNeedsBackfill({ view: view.id, until: clock.now(), whole }, 'It is gone.');
      await new Rebuilder({ ...context, warehouse, rebuildAfterMs: 0 }).rebuild(lost, signal);
      const metaKey = keys.meta(keys.viewPartition(project.prefix, view.id, 0));
      const [[bytes = null] = []] = await store.read([[metaKey]]);
      bases.push(decodeMeta(bytes ?? expect.fail('no state was written')).base);
      const all: string[] = [];
      for await (const key of store.scan(keys.viewPartition(project.prefix, view.id, 0).slice(0, -2)))
        all.push(key);
      await store.remove(all);
    }
    expect(bases).toEqual([first, null]);
    await warehouse.close();
  });

  it('is built by one process alone', async () => {
    await plane.store.commit([lock('another process')]);
    const warehouse = nowhere();
    const rebuilder = new Rebuilder({ ...context, warehouse, rebuildAfterMs: 0 });
    await expect(rebuilder.rebuild(needed, signal)).rejects.toBe(needed);
    expect(notes).toEqual([]);
    await warehouse.close();
  });

  it('is taken up again where that process is gone, and left alone where an operator writes it', async () => {
    const building = (life: string) => encodeMeta({ ...freshMeta(life, 0, false), status: 'building' });
    const half = building(`${REBUILD}1`);
    expect(await isAbandoned(context, view, half)).toBe(true);
    expect(await isAbandoned(context, view, building('an operator'))).toBe(false);
    expect(await isAbandoned(context, view, encodeMeta(freshMeta(`${REBUILD}1`, 0, false)))).toBe(false);
    expect(await isAbandoned(context, view, null)).toBe(false);
    await plane.store.commit([lock('the process')]);
    expect(await isAbandoned(context, view, half)).toBe(false);
    plane.clock.time += 16_000;
    expect(await isAbandoned(context, view, half)).toBe(true);
  });
});
