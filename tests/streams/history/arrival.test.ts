import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { readEvents } from '../../../infrastructure/clickhouse/read-events.ts';
import { type EventRow, eventEncoder } from '../../../infrastructure/clickhouse/rows.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { tables, topics } from '../../../schemas/names.ts';
import { DAY, HOUR, MINUTE } from '../../../schemas/time.ts';
import { leastReadTime } from '../../../streams/history/backfill-archive.ts';
import { backfillVectors } from '../../../streams/history/backfill-vectors.ts';
import { close, createOracle, type FlightsArchive, flightsArchive } from './history-fixture.ts';

const FROM = Date.UTC(2001, 2, 26);
const TO = FROM + 3 * DAY;
const TESTED = TO - DAY;
const AHEAD = 4 * MINUTE;

/**
 * A producer whose clock is four minutes ahead asks at the same moments as others do:
 *
 *   arrival   t          t + 4m
 *   honest    reads as of t
 *   ahead     reads as of t, though its event says t + 4m
 */
let archive: FlightsArchive;
let oracle: Awaited<ReturnType<typeof createOracle>>;
let ahead: readonly EventRecord[];

beforeAll(async () => {
  archive = await flightsArchive(FROM, TO);
  oracle = await createOracle(archive);
  ahead = oracle.events
    .filter((event) => event.type === 'flight.departed' && event.time >= TESTED)
    .filter((_, i) => i % 3 === 0)
    .map((event) => ({ ...event, id: `ahead-${event.id}`, time: event.time + AHEAD }));
  await write(ahead.map((event, i) => rowOf(event, i, event.time - AHEAD)));
});
afterAll(() => archive.warehouse.close());

const rowOf = (event: EventRecord, offset: number, arrivedAt: number | null): EventRow => ({
  event,
  importId: '',
  sourceTopic: topics.raw(archive.project.prefix, archive.source.name),
  sourcePartition: 0,
  sourceOffset: offset,
  appendTime: arrivedAt ?? 0,
  arrivedAt,
  archivedPartition: 0,
  archivedOffset: offset,
});

async function write(rows: readonly EventRow[]): Promise<void> {
  const encoder = eventEncoder(archive.source);
  const table = tables.events(archive.project.prefix, archive.source.name);
  const bytes = encoder.encode(rows);
  await archive.warehouse.insertRaw(table, encoder.columns, encoder.format, bytes, { token: 'ahead' });
}

describe('the arrival of an event', () => {
  it('is kept by the archive, and is unknown of imports and of rows from before the column', async () => {
    const { project, source, warehouse } = archive;
    const table = tables.events(project.prefix, source.name);
    const arrivals = async () => {
      const found = { known: 0, unknown: 0 };
      for await (const batch of readEvents(warehouse, project, source, { from: null, to: null }))
        for (const [i, { id, time }] of batch.events.entries()) {
          const arrival = batch.arrivals[i] ?? 0;
          if (Number.isNaN(arrival)) found.unknown += 1;
          else {
            found.known += 1;
            expect(id.startsWith('ahead-')).toBe(true);
            expect(arrival).toBe(time - AHEAD);
          }
        }
      return found;
    };
    const { known, unknown } = await arrivals();
    expect(known).toBe(ahead.length);
    expect(unknown).toBe(oracle.events.length);

    const older = { ...project, prefix: 'from-before' };
    await ensureTables(warehouse, older);
    const old = tables.events(older.prefix, source.name);
    await warehouse.command(`ALTER TABLE ${old} DROP COLUMN first_append_time`);
    await warehouse.command(
      `INSERT INTO ${old} (id, type, time, append_time) SELECT id, type, time, append_time FROM ${table} WHERE import_id = '' LIMIT 5`,
    );
    await ensureTables(warehouse, older);
    const [row] = await warehouse.query<{ n: number }>(
      `SELECT count() AS n FROM ${old} WHERE first_append_time IS NULL`,
    );
    expect(row?.n).toBe(5);
  });

  it('is what a backfilled request reads as of, where its producer was ahead', async () => {
    const { project, model, warehouse } = archive;
    const width = model.features.length;
    const rows = new Float64Array(ahead.length * width);
    const wanted = new Map(ahead.map(({ id }, i) => [id, i]));
    const done = await backfillVectors({
      project,
      model,
      warehouse,
      wanted,
      from: TESTED,
      to: TO + HOUR,
      rows,
    });
    expect(done.vectors).toBe(ahead.length);
    expect(ahead.length).toBeGreaterThan(100);
    const events = [...oracle.events, ...ahead];
    let moved = 0;
    for (const [i, request] of ahead.entries()) {
      const truth = oracle.vector({ ...request, time: request.time - AHEAD }, events);
      const uncapped = oracle.vector(request, events);
      let differs = false;
      for (const [f, { name }] of model.features.entries()) {
        const expected = truth.get(name);
        if (expected === undefined) continue;
        const found = rows[i * width + f] ?? 0;
        if (!close(found, expected)) expect.fail(`${name} of ${request.id} is ${found}, not ${expected}`);
        differs ||= !close(found, uncapped.get(name) ?? Number.NaN);
      }
      if (differs) moved += 1;
    }
    expect(moved, 'reading as of the event time would have shown').toBeGreaterThan(10);
  });

  it('is where the reads of a backfilled state begin', async () => {
    const { project, warehouse } = archive;
    const to = (ahead[Math.floor(ahead.length / 2)]?.time ?? 0) - MINUTE;
    const next = Math.min(...ahead.filter(({ time }) => time >= to).map(({ time }) => time));
    const options = { project, warehouse, to };
    const last = ahead.findLastIndex(({ time }) => time < to);
    const { name } = archive.source;
    expect(next - AHEAD).toBeLessThan(to);
    expect(await leastReadTime(options, new Map([[name, [{ partition: 0, offset: last }]]]))).toBe(
      next - AHEAD,
    );
    expect(
      await leastReadTime(options, new Map([[name, [{ partition: 0, offset: ahead.length }]]])),
      'all are below the marks',
    ).toBe(to);
    expect(await leastReadTime(options, new Map([[name, []]])), 'no marks').toBe(next - AHEAD);
  });
});
