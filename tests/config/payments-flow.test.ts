import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { generatePayments } from '../../docs/examples/payments/generate.ts';
import { createMemoryBroker } from '../../infrastructure/memory/broker.ts';
import { VirtualClock } from '../../infrastructure/memory/clock.ts';
import { createMemoryStore } from '../../infrastructure/memory/store.ts';
import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/entity-key.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { createFeatures } from '../../streams/features/features.ts';
import { createInference } from '../../streams/inference/inference.ts';
import { modelReads } from '../../streams/inference/vector.ts';
import { createIngest } from '../../streams/ingest/ingest.ts';
import { replay } from '../../streams/replay/replay.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { oracleRead } from '../oracle/naive.ts';
import { headsOf } from '../processors/harness.ts';

/** The payments project through the real streams, on the in-memory twins, in virtual time. */

const directory = fileURLToPath(new URL('../../docs/examples/payments', import.meta.url));
const records = generatePayments({ days: 2, cards: 120, merchants: 20, seed: 3 });

/** What goes wrong in a team's stream, at places in it, with the reason each must be refused for. */
const BAD: ReadonlyMap<number, readonly [bad: (text: string) => string, code: string]> = new Map([
  [100, [(text) => text.replace(/"value":[\d.]+/, '"value":0'), 'rule_failed']],
  [200, [(text) => text.slice(0, -5), 'bad_json']],
  [300, [(text) => text.replace('"payment.', '"payout.'), 'unknown_type']],
  [400, [(text) => text.replace('"token"', '"tokn"'), 'missing_field']],
  [500, [(text) => text.replace(/"created_at":"[^"]*"/, '"created_at":"yesterday"'), 'bad_envelope']],
  [600, [(text) => text.replace(/"created_at":"[^"]*"/, '"created_at":"2026-03-01T00:00:00Z"'), 'late']],
]);

async function run(partitions: number) {
  const project = loadProject(directory, { environment: {}, partitions });
  const [model] = project.models;
  if (model === undefined) throw new Error('the payments have a model');
  const clock = new VirtualClock(Date.UTC(2026, 3, 1));
  const broker = createMemoryBroker(clock);
  const store = createMemoryStore({ now: () => clock.now() });
  let ids = 0;
  const codecs = await openCodecs(project, {
    register: async () => {
      ids += 1;
      return ids;
    },
    schemaById: async () => null,
    versions: async () => new Map(),
  });
  const admin = await broker.kafka().admin();
  await admin.createTopics(topicSpecs(project));
  const failures: unknown[] = [];
  const telemetry = { ...SILENT, failure: (_: string, error: Error) => void failures.push(error) };
  const kafka = broker.kafka();
  const deps = { project, kafka, store, codecs, clock, telemetry };
  const champion = {
    version: 1,
    artefact: 'fixed',
    layoutHash: model.layoutHash,
    threshold: 0.5,
    score: () => 0.25,
  };
  const models = { current: () => () => ({ champion, shadows: [] }), refresh: async () => {} };
  const controller = new AbortController();
  const streams = [createIngest(deps), createFeatures(deps), createInference({ ...deps, model, models })];
  const running = Promise.all(streams.map((stream) => stream.run(controller.signal)));
  running.catch((error: unknown) => failures.push(error));
  // As a team's producer would: its own JSON, byte for byte.
  const items = records.map((record, place) => {
    const text = JSON.stringify(record);
    const bytes = Buffer.from(BAD.get(place)?.[0](text) ?? text);
    return { place, time: Date.parse(record.created_at), key: record.card.token, event: null, bytes };
  });
  let complete: boolean | null = null;
  replay(
    { project, kafka: broker.kafka(), store, codecs, clock },
    {
      source: 'payments',
      name: 'payments',
      items: (async function* () {
        yield items;
      })(),
      speed: Number.POSITIVE_INFINITY,
      signal: controller.signal,
    },
  ).then(
    (result) => {
      complete = result.complete;
    },
    (error: unknown) => failures.push(error),
  );
  await clock.runUntil(() => complete !== null || failures.length > 0, 60 * 60_000);
  if (failures.length > 0) throw failures[0];
  expect(complete).toBe(true);
  let stopped = false;
  controller.abort();
  void running.then(() => {
    stopped = true;
  });
  await clock.runUntil(() => stopped, 60_000);
  const read = async <T>(topic: string, decode: (bytes: Uint8Array) => T): Promise<T[]> =>
    (await readTails(broker.kafka(), topic, 1e9)).flatMap((tail) =>
      tail.flatMap(({ value }) => (value === null ? [] : [decode(value)])),
    );
  const { prefix } = project;
  return {
    project,
    model,
    accepted: (
      await read(topics.validated(prefix, 'payments'), (bytes) => codecs.validated('payments').decode(bytes))
    ).map(({ event }) => event),
    letters: await read(topics.deadLetters(prefix, 'payments'), (bytes) => codecs.deadLetters.decode(bytes)),
    predictions: await read(topics.predictions(prefix, model.name), (bytes) =>
      codecs.predictions.decode(bytes),
    ),
  };
}

const vectorOf = (predictions: readonly Prediction[]) =>
  new Map(predictions.map((prediction) => [prediction.requestId, prediction.vector ?? []]));

describe('payments through the streams', () => {
  it('count to the record, answer every request from its full head, and read what the oracle says', async () => {
    const { project, model, accepted, letters, predictions } = await run(3);
    expect(accepted.length + letters.length).toBe(records.length);
    const codes = [...BAD.values()].map(([, code]) => code);
    expect(letters.map((letter) => letter.code).sort()).toEqual(codes.sort());
    const requests = accepted.filter((event) => event.type === 'payment.requested');
    expect(predictions).toHaveLength(requests.length);
    expect(new Set(predictions.map((prediction) => prediction.status))).toEqual(new Set(['scored']));

    const vectors = vectorOf(predictions);
    const { reads, width } = modelReads(project, model);
    const assemble = assembler(model, reads);
    const own = (event: EventRecord, key: readonly string[], entity: readonly string[]) =>
      accepted
        .filter((other) => entityKey(other, entity) === entityKey(event, key))
        .map((other) => ({ event: other, source: 'payments' }));
    for (const request of requests.filter((_, i) => i % 25 === 0)) {
      const stored = new Float64Array(width);
      for (const { declared, view, offset } of reads) {
        const { head, sketchHead } = headsOf(view, request.time);
        const edge = { asOf: head, sketchAsOf: sketchHead };
        const events = own(request, declared.key, view.entity);
        stored.set(oracleRead(view, events, { time: request.time, zone: null }, edge), offset);
      }
      const exact = assemble(stored, request);
      for (const [i, value] of (vectors.get(request.id) ?? []).entries()) {
        const truth = exact[i] as number;
        // Sketches answer within a few percent, and what is computed from them likewise.
        const sketched = /merchants|cards|_p\d|over_usual/.test(model.features[i]?.name ?? '');
        const tolerance = sketched ? 0.1 * Math.abs(truth) + 1 : 1e-9 * Math.max(1, Math.abs(truth));
        const same = Number.isNaN(truth) ? Number.isNaN(value) : Math.abs(value - truth) <= tolerance;
        if (!same) expect(value, `${request.id} ${model.features[i]?.name}`).toBe(truth);
      }
    }
  });

  it('give the same vectors with 1 and 8 partitions, to the bit, sketches included', async () => {
    const [one, eight] = [vectorOf((await run(1)).predictions), vectorOf((await run(8)).predictions)];
    expect(one.size).toBeGreaterThan(500);
    expect([...one].sort()).toEqual([...eight].sort());
  });
});
