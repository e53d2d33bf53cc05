import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { applyDeps } from '../../cli/commands/apply.ts';
import { quantileOf, startFeatureProbe } from '../../cli/probe.ts';
import { loadProject } from '../../config/load.ts';
import { createMemoryStore } from '../../infrastructure/memory/store.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { createRandom } from '../../models/random.ts';
import { registerVersion } from '../../pipelines/rollout/moves.ts';
import { fitModel } from '../../pipelines/training/fit.ts';
import { composeStreams, STREAM_NAMES } from '../../platform/compose.ts';
import { openTwins, type Platform } from '../../platform/platform.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { applyProject } from '../../streams/apply/apply.ts';
import { audit } from '../../streams/audit/audit.ts';
import { explain } from '../../streams/explain/explain.ts';
import { lookUp } from '../../streams/explain/look-up.ts';
import { type ReplayItem, replay } from '../../streams/replay/replay.ts';
import { runStreams } from '../../streams/runtime/supervise.ts';
import { root } from '../architecture/sources.ts';
import { silentTelemetry } from '../infrastructure/telemetry/silent.ts';

/** The whole flights project in this process on the twins, and the tools a person uses on it. */

const project = loadProject(join(root, 'config'), { environment: {}, prefix: 'tools-test' });
const source = project.sources[0] ?? expect.fail('no source');
const model = project.models[0] ?? expect.fail('no model');
const BEGIN = Date.UTC(2001, 2, 5, 12);
const AIRPORTS = ['ORD', 'LAX', 'SFO'] as const;
const FLIGHTS = 300;

/** A flight each minute, an hour in the air; every 50th says a distance that no flight has. */
function flights(): ReplayItem[] {
  const events = Array.from({ length: FLIGHTS }, (_, n): EventRecord[] => {
    const departed = BEGIN + n * MINUTE;
    const fields = {
      flight_id: `flight-${n}`,
      origin: AIRPORTS[n % 3] ?? '',
      destination: AIRPORTS[(n + 1) % 3] ?? '',
      distance: n % 50 === 49 ? 1 : 1_000,
      departed_at: departed,
      local_time: new Date(departed - 6 * HOUR).toISOString().slice(0, 16),
      zone: 'America/Chicago',
    };
    return [
      { id: `flight-${n}:d`, type: 'flight.departed', time: departed, delay: null, ...fields },
      { id: `flight-${n}:a`, type: 'flight.arrived', time: departed + HOUR, delay: n % 40, ...fields },
    ];
  }).flat();
  return events
    .sort((a, b) => a.time - b.time)
    .map((event, place) => ({ place, time: event.time, key: String(event.flight_id), event, bytes: null }));
}

let directory: string;
let platform: Platform;
let stop: () => Promise<void>;
let featureMs: Float64Array;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-tools-'));
  platform = await openTwins(project, { artefacts: directory });
  await applyProject(applyDeps(project, platform));
  await publishModel(platform);
  const { kafka, store, warehouse, artefacts, clock } = platform;
  const codecs = await platform.codecs();
  const deps = { project, kafka, store, warehouse, artefacts, clock, codecs, telemetry: silentTelemetry };
  const composed = await composeStreams(
    deps,
    // No pipeline runs here: it would need a queue.
    STREAM_NAMES.filter((name) => name !== 'pipelines'),
  );
  const abort = new AbortController();
  const running = runStreams(composed.streams, abort.signal);
  stop = async () => {
    abort.abort();
    await running;
    await composed.close();
    await platform.close();
    rmSync(directory, { recursive: true, force: true });
  };
  const probe = await startFeatureProbe({ ...deps, source });
  const items = flights();
  await replay(deps, {
    source: source.name,
    name: 'tools',
    items: (async function* () {
      yield items;
    })(),
    speed: 36_000,
    signal: abort.signal,
    waitLimitMs: 30_000,
  });
  featureMs = await probe.stop();
  // The archive writes what waits after half a second.
  await vi.waitFor(
    async () => expect((await audit({ project, kafka, warehouse, codecs })).findings).toEqual([]),
    { timeout: 20_000, interval: 200 },
  );
});

afterAll(() => stop?.());

async function publishModel({ artefacts, kafka, codecs }: Platform): Promise<void> {
  const random = createRandom(1);
  const rows = 400;
  const quick: Model = {
    ...model,
    trainer: { ...model.trainer, parameters: { ...model.trainer.parameters, epochs: 1 } },
  };
  const { bytes, address } = await fitModel({
    project,
    model: quick,
    training: {
      ids: Array.from({ length: rows }, (_, i) => String(i)),
      times: Float64Array.from({ length: rows }, (_, i) => i),
      rows: Float64Array.from({ length: rows * model.features.length }, () => random.next()),
      labels: Uint8Array.from({ length: rows }, () => (random.next() < 0.3 ? 1 : 0)),
      cells: new Int16Array(rows),
      logged: 0,
      backfilled: rows,
      untold: 0,
      query: '',
      from: 0,
      to: rows,
      hash: '0',
    },
    test: null,
    asOf: 0,
    codeVersion: 'test',
  });
  const { location } = await artefacts.put(bytes);
  const { models: codec } = await codecs();
  await registerVersion(
    createModelRegistry({ kafka, codec, prefix: project.prefix }),
    { model: model.name, artefact: address, location, layout: model.layoutHash, as: 'champion' },
    { by: 'test', reason: 'test' },
  );
}

describe('audit', () => {
  it('follows every raw record to where it ended', async () => {
    const { kafka, warehouse } = platform;
    const result = await audit({ project, kafka, warehouse, codecs: await platform.codecs() });
    const bad = 2 * Math.floor(FLIGHTS / 50);
    expect(result.sources).toMatchObject([
      {
        raw: 2 * FLIGHTS,
        accepted: 2 * FLIGHTS - bad,
        refused: bad,
        acceptedRows: 2 * FLIGHTS - bad,
        refusedRows: bad,
      },
    ]);
    expect(result.models).toMatchObject([
      { requests: FLIGHTS - bad / 2, predictions: FLIGHTS - bad / 2, refused: 0 },
    ]);
    expect(result.findings).toEqual([]);
  });

  it('names what is missing', async () => {
    const { kafka, warehouse } = platform;
    const codecs = await platform.codecs();
    const producer = await kafka.producer();
    const value = codecs.predictions.encode(
      codecs.predictions.decode((await firstPrediction()).value ?? expect.fail('a clock')),
    );
    // An answer to a request that nobody made: offset 0 of a partition is a clock.
    const stray = codecs.predictions.decode(value);
    await producer.send([
      {
        topic: topics.predictions(project.prefix, model.name),
        partition: stray.sourcePartition,
        key: null,
        value: codecs.predictions.encode({ ...stray, sourceOffset: 0 }),
      },
    ]);
    const { findings } = await audit({ project, kafka, warehouse, codecs });
    expect(findings.join()).toMatch(/1 answers? of late_arrival .*no request/);
  });

  async function firstPrediction() {
    const reader = await platform.kafka.reader([
      { topic: topics.predictions(project.prefix, model.name), partition: 0, position: 'earliest' },
    ]);
    try {
      for (;;)
        for (const { records } of await reader.poll(1_000)) {
          const found = records.find(({ value }) => value !== null);
          if (found !== undefined) return found;
        }
    } finally {
      await reader.close();
    }
  }
});

describe('explain', () => {
  it('computes a score once more, the same to the last bit, from what the archive holds', async () => {
    const { warehouse, artefacts } = platform;
    const one = await explain({ project, model, warehouse, artefacts }, 'flight-200:d');
    expect(one).toMatchObject({ status: 'scored', same: true, modelVersion: 1 });
    expect(one.recomputed).toBe(one.score);
    expect(one.features).toHaveLength(model.features.length);
    expect(one.reads.every(({ asOf, head }) => asOf === head)).toBe(true);
    const { base, logit } = one.contributions ?? expect.fail('no contributions');
    const sum = one.features.reduce((total, { contribution }) => total + (contribution ?? Number.NaN), base);
    expect(sum).toBeCloseTo(logit, 9);
  });

  it('says so where there is no such prediction', async () => {
    const { warehouse, artefacts } = platform;
    await expect(explain({ project, model, warehouse, artefacts }, 'nobody')).rejects.toThrow(
      'There is no prediction',
    );
  });
});

describe('features get', () => {
  const view = project.views.find(({ name }) => name === 'origin') ?? expect.fail('no view');

  it('reads the newest exact head from the online store', async () => {
    const found = await lookUp(
      { project, ...platform, store: platform.store, warehouse: platform.warehouse },
      {
        view,
        entity: 'ORD',
        time: null,
        zone: null,
      },
    );
    expect(found.source).toBe('online');
    expect(found.ageMs).toBe(view.readDelay);
    expect(found.asOf).toBeGreaterThan(BEGIN + FLIGHTS * MINUTE);
  });

  it('answers alike from the archive, by the same processors, where the store holds nothing', async () => {
    const { store, warehouse } = platform;
    // Within the slack of 4 hours before the last event: however far compaction has come, the state is exact there.
    const time = BEGIN + 180 * MINUTE;
    const asked = { view, entity: 'ORD', time, zone: null };
    const online = await lookUp({ project, store, warehouse }, asked);
    const past = await lookUp({ project, store: createMemoryStore(), warehouse }, asked);
    expect([online.source, past.source]).toEqual(['online', 'history']);
    expect(past.features).toEqual(online.features);
    // A flight each minute, every third from ORD.
    expect(past.features.departures_1h).toBe(20);
  });
});

it('the probe of event-to-feature latency sees events become features', () => {
  expect(featureMs.length).toBeGreaterThan(3);
  expect(quantileOf(featureMs, 0.5)).toBeLessThan(10_000);
});
