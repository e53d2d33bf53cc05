import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTables, removeTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { buildDataSets } from '../../../pipelines/training/dataset.ts';
import { assembler } from '../../../processors/assemble.ts';
import { entityKey } from '../../../processors/entity-key.ts';
import { decodeMeta } from '../../../processors/meta.ts';
import { partitionOf } from '../../../processors/partition.ts';
import { asOf } from '../../../processors/read.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { keys, tables, topics } from '../../../schemas/names.ts';
import { DAY, HOUR, MINUTE } from '../../../schemas/time.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { backfillState, StateInTheWay } from '../../../streams/history/backfill.ts';
import { backfillVectors } from '../../../streams/history/backfill-vectors.ts';
import { ImportOverlap, importHistory } from '../../../streams/history/import.ts';
import { modelReads } from '../../../streams/inference/vector.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { close, createOracle, type FlightsArchive, first, flightsArchive } from './history-fixture.ts';

// Nine days, so that "the last seven days" has a value on the last two.
const FROM = Date.UTC(2001, 2, 26);
const TO = FROM + 9 * DAY;
const TESTED = TO - DAY;

let archive: FlightsArchive;
let oracle: Awaited<ReturnType<typeof createOracle>>;
beforeAll(async () => {
  archive = await flightsArchive(FROM, TO);
  oracle = await createOracle(archive);
});
afterAll(() => archive.warehouse.close());

/** Every n-th departure of a stretch. */
function departures(from: number, to: number, n: number): EventRecord[] {
  return oracle.events
    .filter((event) => event.type === 'flight.departed' && event.time >= from && event.time < to)
    .filter((_, i) => i % n === 0);
}

async function vectorsOf(requests: readonly EventRecord[], from: number, to: number): Promise<Float64Array> {
  const { project, model, warehouse } = archive;
  const rows = new Float64Array(requests.length * model.features.length);
  const wanted = new Map(requests.map(({ id }, i) => [id, i]));
  const done = await backfillVectors({ project, model, warehouse, wanted, from, to, rows });
  expect(done.vectors).toBe(requests.length);
  return rows;
}

describe('an import', () => {
  it('puts every event in the archive or the dead letters, under the file and its row', async () => {
    const { project, source, file, imported, warehouse } = archive;
    const rejected = Object.values(imported.rejected).reduce((sum, n) => sum + n, 0);
    expect(imported.accepted + rejected).toBe(file.count({ from: FROM, to: TO }));
    // The one flight at a local time that the clocks jumped over: its departure and its arrival.
    expect(imported.rejected).toEqual({ rule_failed: rejected });
    expect(rejected).toBeGreaterThanOrEqual(2);
    const [events] = await warehouse.query<{ n: number; rows: number; ids: number }>(
      `SELECT count() AS n, uniqExact(source_offset) AS rows, uniqExact(import_id) AS ids FROM ${tables.events(project.prefix, source.name)} FINAL`,
    );
    expect(events).toMatchObject({ n: imported.accepted, ids: 1 });
    const letters = await warehouse.query<{ detail: string; writer: string }>(
      `SELECT detail, writer FROM ${tables.deadLetters(project.prefix, source.name)} FINAL`,
    );
    expect(letters).toHaveLength(rejected);
    expect(letters.some(({ detail }) => detail.includes('local_time_exists'))).toBe(true);
  });

  it('changes nothing when it is repeated, over the same range or a part of it', async () => {
    const { project, source, file, warehouse, imported } = archive;
    const table = tables.events(project.prefix, source.name);
    const again = await importHistory({ project, source, file, warehouse, from: FROM, to: TO, now: 2_000 });
    expect(again).toMatchObject({ status: 'already', accepted: imported.accepted });
    await warehouse.command(`TRUNCATE TABLE ${tables.imports(project.prefix)}`);
    const forgot = await importHistory({
      project,
      source,
      file,
      warehouse,
      from: FROM,
      to: FROM + DAY,
      now: 3_000,
    });
    expect(forgot.status).toBe('done');
    const [events] = await warehouse.query<{ n: number }>(`SELECT count() AS n FROM ${table} FINAL`);
    expect(events?.n).toBe(imported.accepted);
  });

  it('holds every event once where an answer was lost and where it was stopped half-way', async () => {
    const { source, file, warehouse } = archive;
    const project = { ...archive.project, prefix: 'broken-import' };
    await ensureTables(warehouse, project);
    const all = { project, source, file, warehouse, from: FROM, to: TO, now: 5_000, batchSize: 1_000 };
    const events = async () =>
      (await warehouse.query(`SELECT 1 FROM ${tables.events(project.prefix, source.name)} FINAL`)).length;
    const stop = new AbortController();
    warehouse.failNext('after');
    const progress = (done: { events: number }) => {
      if (done.events >= 3_000) stop.abort();
    };
    await expect(importHistory({ ...all, progress, signal: stop.signal })).rejects.toThrow(/abort/i);
    const partly = await events();
    expect(partly).toBeGreaterThanOrEqual(1_000);
    warehouse.failNext('after');
    const report = await importHistory({ ...all, now: 6_000 });
    expect(await events()).toBe(report.accepted);
    expect(report.accepted).toBeGreaterThan(partly);
    expect(await removeTables(warehouse, project.prefix)).toBeGreaterThan(2);
  });

  it('is refused where events from Kafka lie', async () => {
    const { project, source, file, warehouse } = archive;
    const table = tables.events(project.prefix, source.name);
    const kafka = { id: 'k', type: 'flight.departed', import_id: '', source_topic: 'raw', source_offset: 7 };
    const time = TO + HOUR;
    await warehouse.insert(table, [{ ...kafka, time: new Date(time).toISOString() }], { token: 'k' });
    const overlapping = { project, source, file, warehouse, from: TO, to: TO + DAY, now: 4_000 };
    await expect(importHistory(overlapping)).rejects.toThrow(ImportOverlap);
    await expect(importHistory(overlapping)).rejects.toThrow('events archived from Kafka, the first at 2001');
    await warehouse.command(`ALTER TABLE ${table} DELETE WHERE id = 'k' SETTINGS mutations_sync = 1`);
  });
});

describe('backfilled vectors', () => {
  it('are what the naive oracle finds among the raw events, for every stored feature', async () => {
    const { model } = archive;
    const requests = departures(TESTED, TO, 4);
    expect(requests.length).toBeGreaterThan(100);
    const rows = await vectorsOf(requests, TESTED, TO);
    let values = 0;
    let known = 0;
    for (const [i, request] of requests.entries()) {
      const truth = oracle.vector(request);
      for (const [f, feature] of model.features.entries()) {
        const expected = truth.get(feature.name);
        if (expected === undefined) continue;
        const found = rows[i * model.features.length + f] ?? 0;
        if (!close(found, expected))
          expect.fail(`${feature.name} of ${request.id} is ${found}, the oracle says ${expected}`);
        values += 1;
        if (!Number.isNaN(expected)) known += 1;
      }
    }
    expect(values).toBeGreaterThan(100 * 20);
    expect(known / values).toBeGreaterThan(0.7);
  });

  it('are the same bits wherever the pass begins and whatever else is read', async () => {
    const few = departures(TESTED, TO, 10);
    const alone = await vectorsOf(few, TESTED, TO);
    const many = departures(TO - 2 * DAY, TO, 3);
    const among = await vectorsOf(
      [...few, ...many.filter(({ id }) => !few.some((one) => one.id === id))],
      TO - 2 * DAY,
      TO,
    );
    expect(Buffer.from(among.buffer, 0, alone.byteLength).equals(Buffer.from(alone.buffer))).toBe(true);
  });
});

describe('a data set', () => {
  it('takes labels that had matured, a sample by the hash of the id, and counts where vectors came from', async () => {
    const { project, model, warehouse } = archive;
    const asOfTime = TESTED + 6 * HOUR;
    const all = { from: TESTED, to: TO, asOf: asOfTime, sample: null };
    const [whole, sampled, again, other] = await buildDataSets({
      project,
      model,
      warehouse,
      selections: [
        all,
        { ...all, sample: { maxRows: 100, seed: 1 } },
        { ...all, sample: { maxRows: 100, seed: 1 } },
        { ...all, sample: { maxRows: 100, seed: 2 } },
      ],
    });
    const arrivals = new Map(
      oracle.events.filter((e) => e.type === 'flight.arrived').map((e) => [e.flight_id, e]),
    );
    const expected = departures(TESTED, TO, 1).filter((e) => {
      const arrival = arrivals.get(e.flight_id as string);
      return arrival !== undefined && arrival.time + model.label.maturity <= asOfTime;
    });
    expect(whole?.ids).toHaveLength(expected.length);
    expect(new Set(whole?.ids)).toEqual(new Set(expected.map(({ id }) => id)));
    for (const [i, id] of (whole?.ids ?? []).entries()) {
      const delay = arrivals.get(id.slice(0, -2))?.delay;
      expect(whole?.labels[i]).toBe(Number(delay) > 15 ? 1 : 0);
    }
    expect(whole).toMatchObject({ logged: 0, backfilled: expected.length });
    expect(sampled?.ids).toHaveLength(100);
    expect(sampled?.hash).toBe(again?.hash);
    expect(new Set(other?.ids)).not.toEqual(new Set(sampled?.ids));
    const width = model.features.length;
    const at = whole?.ids.indexOf(sampled?.ids[17] ?? '') ?? -1;
    expect(sampled?.rows.slice(17 * width, 18 * width)).toEqual(
      whole?.rows.slice(at * width, (at + 1) * width),
    );
  });

  it('prefers the vector that was logged at the full head from the views of now, and no other', async () => {
    const { project, model, warehouse } = archive;
    const [full, behind, before] = departures(TESTED, TESTED + 6 * HOUR, 5);
    const now = project.views.find(({ name }) => name === 'origin')?.id ?? expect.fail('no view of origins');
    const width = model.features.length;
    const at = (time: number) => new Date(time).toISOString();
    const row = (event: EventRecord | undefined, lag: number, view = now) => ({
      id: `${event?.id}:${model.name}`,
      request_id: event?.id,
      request_time: new Date(event?.time ?? 0).toISOString(),
      status: 'scored',
      layout: model.layoutHash,
      vector: new Array(width).fill(42),
      reads: [{ read: 'origin', view, entity: 'ORD', head: at(100), as_of: at(100 - lag), age_ms: lag }],
    });
    const table = tables.predictions(project.prefix, model.name);
    await warehouse.insert(table, [row(full, 0), row(behind, 60), row(before, 0, 'origin@00000000')], {
      token: 'logged',
    });
    const selection = { from: TESTED, to: TESTED + 6 * HOUR, asOf: TO, sample: null };
    const [set] = await buildDataSets({ project, model, warehouse, selections: [selection] });
    const placeOf = (id: string | undefined) => (set?.ids.indexOf(id ?? '') ?? -1) * width;
    expect(set?.logged).toBe(1);
    expect(set?.backfilled).toBe((set?.ids.length ?? 0) - 1);
    expect(set?.rows[placeOf(full?.id)]).toBe(42);
    expect(set?.rows[placeOf(behind?.id)]).not.toBe(42);
    expect(set?.rows[placeOf(before?.id)]).not.toBe(42);

    const everyone = departures(TESTED, TESTED + 6 * HOUR, 1).map((event, source_offset) => ({
      ...row(event, 0),
      source_offset,
    }));
    await warehouse.insert(table, everyone, { token: 'everyone' });
    const sample = (maxRows: number, seed: number) => ({ ...selection, sample: { maxRows, seed } });
    for (const asked of [[sample(40, 1)], [sample(40, 1), sample(10, 1)], [sample(40, 1), sample(40, 2)]])
      for (const some of await buildDataSets({ project, model, warehouse, selections: asked }))
        expect(some.logged, 'all of a sample is found').toBe(some.ids.length);
    await warehouse.command(`TRUNCATE TABLE ${table}`);
  });
});

describe('backfilled state', () => {
  async function platform() {
    const { project } = archive;
    const clock = { now: Date.now, sleep: async () => {} };
    const kafka = createMemoryBroker(clock).kafka();
    const store = createMemoryStore();
    await applyProject({ project, kafka, declared: [] });
    const codecs = await openCodecs(project, createMemoryRegistry());
    return { project, warehouse: archive.warehouse, kafka, store, codecs };
  }

  it('reads in the online store as the vectors do, from its oldest exact head on', async () => {
    const parts = await platform();
    const { project, model } = archive;
    const to = TO - 5 * MINUTE;
    const report = await backfillState({ ...parts, to });
    expect(report.views.map(({ view }) => view)).toEqual(project.views.map(({ id }) => id));
    const requests = departures(to - 3 * HOUR, to, 5);
    const rows = await vectorsOf(requests, to - 3 * HOUR, to);
    const { reads, width } = modelReads(project, model);
    const assemble = assembler(model, reads);
    const stored = new Float64Array(width);
    for (const [i, request] of requests.entries()) {
      for (const { declared, view, reader, offset } of reads) {
        const entity = entityKey(request, declared.key) ?? '';
        const key = keys.viewPartition(project.prefix, view.id, partitionOf(entity, view.partitions));
        const logs = view.sets.map(({ suffix }) => keys.log(key, suffix, entity));
        const [meta, ...bytes] = first(await parts.store.read([[keys.meta(key), ...logs]]));
        const { oldestExactHead, base, status } = decodeMeta(meta ?? new Uint8Array());
        expect(status).toBe('ready');
        const limits = { oldestExactHead: oldestExactHead ?? 0, base: base ?? 0 };
        const zone = declared.zone === null ? null : String(request[declared.zone]);
        const edge = asOf(view, request.time, Number.POSITIVE_INFINITY);
        expect(reader.read(bytes, { time: request.time, zone }, edge, limits, stored, offset)).toBe('ok');
      }
      const expected = rows.slice(i * model.features.length, (i + 1) * model.features.length);
      expect(assemble(stored, request)).toEqual(expected);
    }
  });

  it('says in every view partition that Kafka alone is not all, and stays out of the way of a live state', async () => {
    const parts = await platform();
    const { project } = archive;
    await backfillState({ ...parts, to: TO });
    const view = first(project.views);
    const admin = await parts.kafka.admin();
    for (const { end } of await admin.offsets(topics.view(project.prefix, view.id))) expect(end).toBe(1);
    const reader = await parts.kafka.reader([
      { topic: topics.view(project.prefix, view.id), partition: 0, position: 'earliest' },
    ]);
    const record = first(first(await reader.poll(100)).records);
    const section = first(parts.codecs.blocks.decode(record.value ?? new Uint8Array()).sections);
    expect(section.history).toEqual({ imports: [archive.file.sha256], until: TO, whole: false });
    await reader.close();

    // A repeat finds its own state, which has applied nothing of Kafka: it is written again.
    await backfillState({ ...parts, to: TO });
    const metaKey = keys.meta(keys.viewPartition(project.prefix, view.id, 0));
    const [[bytes = null] = []] = await parts.store.read([[metaKey]]);
    const meta = JSON.parse(Buffer.from(bytes ?? []).toString()) as object;
    const heard = {
      partitions: 3,
      mark: 5,
      runningMax: TO,
      watermark: TO,
      byClock: false,
      idle: false,
      clockOpen: false,
    };
    const next = Buffer.from(JSON.stringify({ ...meta, sources: { 'raw:0': heard } }));
    await parts.store.commit([
      { metaKey, expected: bytes, next, sets: [], appends: [], deletes: [], logTtlMs: DAY, metaTtlMs: DAY },
    ]);
    const refused = backfillState({ ...parts, to: TO });
    await expect(refused).rejects.toThrow(StateInTheWay);
    await expect(refused).rejects.toThrow('--replace');
    await backfillState({ ...parts, to: TO, replace: true });
  });
});
