import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { tables, topics } from '../../../schemas/names.ts';
import { readLastClocks } from '../../../streams/archive/clocks.ts';
import { Archived, type Sent, wall } from './archived.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const event = (partition: number, offset: number): Sent => ({
  kind: 'event',
  partition,
  offset,
  note: `e${partition}.${offset}`,
});
const clock = (
  partition: number,
  time: number,
  kind: 'first' | 'tick' | 'end',
  topic: 'event' | 'prediction' = 'event',
): Sent => ({ kind: 'clock', partition, topic, mark: { time, kind, replay: 'r' } });

describe('clocks that the archive passes', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  const open = () => Archived.create(createMemoryBroker(wall).kafka(), warehouse);
  const last = async (archived: Archived, partition: number) =>
    (await readLastClocks(warehouse, archived.project.prefix)).get(
      `${topics.validated(archived.project.prefix, 'trips')}:${partition}`,
    );
  async function until(done: () => Promise<boolean>): Promise<void> {
    for (let i = 0; i < 400 && !(await done()); i++) await wall.sleep(20);
  }

  it('stand in the table of progress when the rows before them are in theirs', async () => {
    const archived = await open();
    const archive = archived.start({ maxWaitMs: 60_000 });
    await archived.send([
      clock(0, DAY, 'first'),
      event(0, 0),
      { kind: 'letter', partition: 1, offset: 1, note: 'x', writer: 'ingest' },
      clock(0, DAY + HOUR, 'tick'),
      event(0, 1),
    ]);
    await until(async () => (await last(archived, 0)) !== undefined);
    // A clock within a window waits as rows do; the first and one that ends a window do not.
    expect(await last(archived, 0)).toMatchObject({ clock: DAY, open: true });
    await archived.send([event(0, 2), clock(0, 2 * DAY, 'tick'), event(0, 3)]);
    await until(async () => (await last(archived, 0))?.clock === 2 * DAY);
    expect(await last(archived, 0)).toMatchObject({ clock: 2 * DAY, open: true });
    // All that came before, of every table, went with it.
    const rows = await archived.rows();
    expect(rows).toEqual(expect.arrayContaining(['event 0 000002  e0.2', 'letter 1 000001 ingest x']));
    await archived.send([clock(0, 3 * DAY, 'end')]);
    await until(async () => (await last(archived, 0))?.open === false);
    expect(await last(archived, 0)).toMatchObject({ clock: 3 * DAY, open: false });
    await archive.stop();
    expect(await archived.rows()).toEqual(archived.expected());
  });

  it.each(['before', 'after'] as const)(
    'are not lost where any insert fails %s it is stored',
    async (when) => {
      const archived = await open();
      const { prefix } = archived.project;
      // Every insert of the process fails once, in turn: rows, clocks, whatever comes.
      let inserts = 0;
      const failing = () => {
        inserts += 1;
        if (inserts % 2 === 1) warehouse.failNext(when);
      };
      const faulty = {
        ...warehouse,
        insert: (...all: Parameters<typeof warehouse.insert>) => {
          failing();
          return warehouse.insert(...all);
        },
        insertRaw: (...all: Parameters<typeof warehouse.insertRaw>) => {
          failing();
          return warehouse.insertRaw(...all);
        },
      };
      const archive = archived.start({ warehouse: faulty });
      const sent: Sent[] = [clock(0, DAY, 'first')];
      for (let i = 0; i < 6; i++)
        sent.push(event(0, 2 * i), clock(0, DAY + (i + 1) * HOUR, 'tick'), event(0, 2 * i + 1));
      await archived.send(sent.slice(0, 8));
      await archived.settle();
      await archived.send(sent.slice(8));
      await archived.settle();
      await until(async () => (await last(archived, 0))?.clock === DAY + 6 * HOUR);
      await archive.stop();
      expect(await archived.rows()).toEqual(archived.expected());
      expect(await last(archived, 0)).toMatchObject({ clock: DAY + 6 * HOUR, open: true });
      const [first] = await warehouse.query<{ n: number }>(
        `SELECT count() AS n FROM ${tables.progress(prefix)} FINAL WHERE kind = 'first'`,
      );
      expect(first).toEqual({ n: 1 });
    },
  );

  it('are read again after a death between the rows and the clocks', async () => {
    const archived = await open();
    // Rows are stored, clocks never: as if the process had died each time.
    const dying = {
      ...warehouse,
      insert: (table: string, ...rest: [readonly object[], { readonly token: string }]) =>
        table === tables.progress(archived.project.prefix) && alive
          ? Promise.reject(new Error('killed'))
          : warehouse.insert(table, ...rest),
    };
    let alive = false;
    const first = archived.start({ warehouse: dying });
    await archived.send([clock(0, DAY, 'first'), event(0, 0)]);
    await until(async () => (await last(archived, 0)) !== undefined);
    await archived.settle();
    alive = true;
    await archived.send([event(0, 1), clock(0, 2 * DAY, 'tick'), event(0, 2)]);
    await first.done.catch(() => {});
    expect(await last(archived, 0)).toMatchObject({ clock: DAY });
    const second = archived.start();
    await until(async () => (await last(archived, 0))?.clock === 2 * DAY);
    await second.stop();
    expect(await last(archived, 0)).toMatchObject({ clock: 2 * DAY });
    expect(await archived.rows()).toEqual(archived.expected());
  });

  it('go with shadow predictions by version, and alerts by change', async () => {
    const archived = await open();
    const archive = archived.start();
    const shadow = (offset: number, version: number, note = `s${offset}.${version}`): Sent => ({
      kind: 'shadow',
      partition: 0,
      offset,
      note,
      version,
    });
    const alert = (fingerprint: string, change: number, note = `${fingerprint}${change}`): Sent => ({
      kind: 'alert',
      fingerprint,
      change,
      note,
    });
    await archived.send([shadow(0, 2), shadow(0, 3), shadow(1, 2), alert('a', 1), alert('b', 1)]);
    await archived.settle();
    await archived.send([
      shadow(1, 2, 'again'),
      shadow(1, 3),
      alert('a', 1, 'again'),
      alert('a', 2),
      alert('b', 1, 'again'),
    ]);
    await archived.settle();
    await archive.stop();
    expect(await archived.rows()).toEqual(archived.expected());
  });
});
