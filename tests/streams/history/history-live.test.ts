import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArtefactDirectory } from '../../../infrastructure/artefacts/directory.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { PLANTED, plant, plantedCounts } from '../../../infrastructure/readers/planted.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { buildDataSets } from '../../../pipelines/training/dataset.ts';
import { trainModel } from '../../../pipelines/training/training.ts';
import { composeStreams, type StreamDeps } from '../../../platform/compose.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { keys, tables } from '../../../schemas/names.ts';
import type { Model } from '../../../schemas/project.ts';
import { DAY, HOUR } from '../../../schemas/time.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { backfillState } from '../../../streams/history/backfill.ts';
import { backfillVectors } from '../../../streams/history/backfill-vectors.ts';
import { replay } from '../../../streams/replay/replay.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { SILENT, type Telemetry } from '../../../streams/runtime/telemetry.ts';
import { close, createOracle, type FlightsArchive, flightsArchive } from './history-fixture.ts';

const FROM = Date.UTC(2001, 2, 26);
const E = FROM + 8 * DAY;
const PAUSE = E + 9 * HOUR;
const END = E + 18 * HOUR;
const PLANT = { seed: 5, each: 4 };

let archive: FlightsArchive;
let deps: StreamDeps;
let model: Model;
beforeAll(async () => {
  archive = await flightsArchive(FROM, E);
  const { project, warehouse } = archive;
  const clock = { now: Date.now, sleep: (ms: number) => new Promise<void>((done) => setTimeout(done, ms)) };
  const kafka = createMemoryBroker(clock).kafka();
  await applyProject({ project, kafka, declared: [] });
  const codecs = await openCodecs(project, createMemoryRegistry());
  const artefacts = createArtefactDirectory(mkdtempSync(join(tmpdir(), 'millrace-artefacts-')));
  deps = {
    project,
    kafka,
    store: createMemoryStore(),
    warehouse,
    codecs,
    artefacts,
    clock,
    telemetry: SILENT,
  };
  model = {
    ...archive.model,
    trainer: { ...archive.model.trainer, parameters: { hidden: [8], epochs: 1, batchSize: 256 } },
  };
  await trainModel({
    project,
    model,
    warehouse,
    artefacts,
    registry: createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix }),
    from: E - DAY,
    to: E,
    asOf: null,
    as: 'auto',
    by: 'test',
    codeVersion: 'test',
    now: Date.now,
  });
});
afterAll(async () => {
  await deps?.kafka.close();
  await archive?.warehouse.close();
});

function plantOptions() {
  return { source: archive.source, ...PLANT, keyOf: (event: EventRecord) => String(event.flight_id) };
}

/** Runs all streams, replays a stretch and waits until the archive holds all its answers. */
async function live(
  from: number,
  to: number,
  more: { readonly telemetry?: Telemetry; readonly rebuildAfterMs?: number } = {},
): Promise<void> {
  const { project, warehouse } = archive;
  const stop = new AbortController();
  const composed = await composeStreams({ ...deps, ...more }, ['ingest', 'features', 'inference', 'archive']);
  const running = Promise.all(composed.streams.map((stream) => stream.run(stop.signal)));
  try {
    const result = await replay(deps, {
      source: archive.source.name,
      name: `part-${from}`,
      items: plant(archive.file, { from, to }, plantOptions()),
      speed: Number.POSITIVE_INFINITY,
      signal: stop.signal,
    });
    expect(result.complete).toBe(true);
    const requests = await departures(from, to);
    for (;;) {
      const [row] = await warehouse.query<{ n: number }>(
        `SELECT count() AS n FROM ${tables.predictions(project.prefix, model.name)} FINAL
        WHERE request_time >= fromUnixTimestamp64Milli({from:Int64}) AND request_time < fromUnixTimestamp64Milli({to:Int64})`,
        { from, to },
      );
      if ((row?.n ?? 0) >= requests.length) break;
      await deps.clock.sleep(100);
    }
  } finally {
    stop.abort();
    await running;
    await composed.close();
  }
}

async function departures(from: number, to: number): Promise<EventRecord[]> {
  const found: EventRecord[] = [];
  for await (const { events } of archive.file.read({ from, to }))
    found.push(...events.filter(({ type }) => type === 'flight.departed'));
  return found;
}

interface Logged {
  readonly request_id: string;
  readonly status: string;
  readonly reason: string;
  readonly vector: ReadonlyArray<number | null>;
}

/** What inference logged, beside what a backfill over the archive finds now: the very same bits. */
async function expectSameBits(from: number, to: number): Promise<void> {
  const { project, warehouse } = archive;
  const logged = await warehouse.query<Logged>(
    `SELECT request_id, status, reason, arrayMap(one -> if(isNaN(one), NULL, one), vector) AS vector
    FROM ${tables.predictions(project.prefix, model.name)} FINAL
    WHERE request_time >= fromUnixTimestamp64Milli({from:Int64}) AND request_time < fromUnixTimestamp64Milli({to:Int64})`,
    { from, to },
  );
  expect(logged).toHaveLength((await departures(from, to)).length);
  const refused = logged.filter(({ status }) => status !== 'scored');
  expect(refused.map(({ request_id, reason }) => `${request_id} ${reason}`)).toEqual([]);
  const width = model.features.length;
  const rows = new Float64Array(logged.length * width);
  const wanted = new Map(logged.map(({ request_id }, i) => [request_id, i]));
  await backfillVectors({ project, model, warehouse, wanted, from, to, rows });
  for (const [i, { request_id, vector }] of logged.entries())
    for (const [f, value] of vector.entries()) {
      const again = rows[i * width + f] ?? Number.NaN;
      if (!Object.is(value ?? Number.NaN, again))
        expect.fail(`${model.features[f]?.name} of ${request_id}: live ${value}, backfilled ${again}`);
    }
}

describe('history, then live', () => {
  it('answers every request from the first on, with the bits that a backfill gives', {
    timeout: 120_000,
  }, async () => {
    await backfillState({ ...deps, to: E });
    await live(E, PAUSE);
    await expectSameBits(E, PAUSE);
  });

  it('refuses exactly the planted ones, each for its reason', async () => {
    const { project, warehouse, source, file } = archive;
    const letters = await warehouse.query<{ kind: string; code: string; n: number }>(
      `SELECT splitByChar(':', assumeNotNull(key))[2] AS kind, code, count() AS n
      FROM ${tables.deadLetters(project.prefix, source.name)} FINAL
      WHERE key LIKE 'planted:%' GROUP BY kind, code`,
    );
    const found = Object.fromEntries(letters.map(({ kind, code, n }) => [`${kind} ${code}`, n]));
    const counts = plantedCounts(file, { from: E, to: PAUSE }, plantOptions());
    const expected = Object.entries(counts).map(([kind, n]) => [
      `${kind} ${PLANTED[kind as keyof typeof PLANTED]}`,
      n,
    ]);
    expect(found).toEqual(Object.fromEntries(expected));
  });

  it('goes on with the same bits after the store was lost: features builds it again from the archive', {
    timeout: 120_000,
  }, async () => {
    const { project } = archive;
    const lost: string[] = [];
    for (const view of project.views)
      for (let partition = 0; partition < view.partitions; partition += 1)
        for await (const key of deps.store.scan(keys.viewPartition(project.prefix, view.id, partition)))
          lost.push(key);
    expect(lost.length).toBeGreaterThan(100);
    await deps.store.remove(lost);
    const notes: string[] = [];
    const telemetry = { ...SILENT, note: (_: string, message: string) => void notes.push(message) };
    await live(PAUSE, END, { telemetry, rebuildAfterMs: 0 });
    await expectSameBits(E, END);
    expect(notes).toContain('rebuilding from the archive');
    expect(notes).toContain('rebuilt from the archive');
  });

  it('agrees with the naive oracle over the raw events', async () => {
    const oracle = await createOracle(archive);
    const { project, warehouse } = archive;
    const [set] = await buildDataSets({
      project,
      model,
      warehouse,
      selections: [{ from: E, to: END, asOf: END + DAY, sample: { maxRows: 150, seed: 1 } }],
    });
    expect(set?.logged).toBe(set?.ids.length);
    expect(set?.ids.length).toBeGreaterThan(50);
    for (const [i, id] of (set?.ids ?? []).entries()) {
      const request = oracle.events.find((event) => event.id === id);
      if (request === undefined) expect.fail(`no event ${id}`);
      const truth = oracle.vector(request);
      for (const [f, { name }] of model.features.entries()) {
        const expected = truth.get(name);
        const value = set?.rows[i * model.features.length + f] ?? 0;
        if (expected !== undefined && !close(value, expected))
          expect.fail(`${name} of ${id} was logged as ${value}, the oracle says ${expected}`);
      }
    }
  });
});
