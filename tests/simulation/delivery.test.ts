import { describe, expect, it } from 'vitest';
import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/contribute.ts';
import { headsOf } from '../../processors/read.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import type { Prediction } from '../../schemas/records.ts';
import { modelReads } from '../../streams/vector.ts';
import { oracleRead } from '../oracle/naive.ts';
import { FAULTS, type Fault, type HistoryOptions, history } from './history.ts';
import type { World } from './world.ts';

/** What a request's vector must be, from the accepted events alone. */
function expected(world: World, accepted: readonly ValidatedEvent[], request: ValidatedEvent): number[] {
  const { reads, width } = modelReads(world.project, world.model);
  const stored = new Float64Array(width);
  for (const { declared, view, offset } of reads) {
    const entity = entityKey(request.event, declared.key);
    const events = accepted
      .filter(({ event }) => entityKey(event, view.entity) === entity)
      .map(({ event }) => ({ event, source: 'trips' }));
    const { head, sketchHead } = headsOf(view, request.event.time);
    const values = oracleRead(
      view,
      events,
      { time: request.event.time, zone: null },
      { asOf: head, sketchAsOf: sketchHead },
    );
    stored.set(values, offset);
  }
  const assemble = assembler(
    world.model,
    reads.map(({ declared, view, offset }) => ({ name: declared.name, view, offset })),
  );
  return [...assemble(stored, request.event)];
}

async function check(options: HistoryOptions): Promise<{ repeats: number; faults: readonly Fault[] }> {
  const { world, result, faults } = await history(options);
  const accepted = await world.accepted();
  const letters = (await world.deadLetters()).filter(({ writer }) => writer === 'ingest');
  const { first, repeats } = await world.predictions();
  const story = `seed ${options.seed} after ${faults.join(', ')}`;
  expect(accepted.length + letters.length, `raw = accepted + rejected + late, ${story}`).toBe(
    result.sent + result.skipped,
  );
  const requests = accepted.filter(({ event }) => event.type === 'trip.started');
  expect(first.length, `one prediction a request, ${story}`).toBe(requests.length);
  const byId = new Map<string, Prediction>(first.map((prediction) => [prediction.requestId, prediction]));
  for (const request of requests) {
    const prediction = byId.get(request.event.id);
    expect(prediction?.status, `${request.event.id}: ${prediction?.reason}, ${story}`).toBe('scored');
    for (const { asOf, head } of prediction?.reads ?? []) expect(asOf, story).toBe(head);
    const want = expected(world, accepted, request);
    for (const [i, value] of (prediction?.vector ?? []).entries()) {
      const truth = want[i] ?? Number.NaN;
      const same = Number.isNaN(truth)
        ? Number.isNaN(value)
        : Math.abs(value - truth) <= 1e-9 * Math.max(1, Math.abs(truth));
      if (!same) expect(value, `${request.event.id} ${world.model.features[i]?.name}, ${story}`).toBe(truth);
    }
  }
  return { repeats, faults };
}

describe('a whole history on the twins', () => {
  it('without faults answers every request from its full head', { timeout: 60_000 }, async () => {
    const { repeats } = await check({ seed: 1, trips: 300, faults: [], faultEveryMs: 1 });
    expect(repeats).toBe(0);
  });

  for (const fault of FAULTS)
    it(`is the same under: ${fault}`, { timeout: 120_000 }, async () => {
      for (let seed = 1; seed <= 6; seed += 1)
        await check({ seed, trips: 150, faults: [fault], faultEveryMs: 150 });
    });

  it('is the same under all of them together', { timeout: 300_000 }, async () => {
    for (let seed = 100; seed < 130; seed += 1)
      await check({
        seed,
        trips: 120,
        faults: FAULTS,
        faultEveryMs: 120,
        partitions: [1, 3, 8][seed % 3] ?? 3,
        layout:
          seed % 2 === 0
            ? [['ingest', 'features', 'inference']]
            : [['ingest', 'features', 'inference'], ['ingest', 'inference'], ['features']],
      });
  });
});
