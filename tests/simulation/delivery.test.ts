import { describe, expect, it } from 'vitest';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { auditViews } from './audited.ts';
import { FAULTS, type Fault, type HistoryOptions, history } from './history.ts';
import { Truth } from './truth.ts';

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
  for (const audit of await auditViews(world))
    expect(audit, `contributions = applied + refused, ${story}`).toMatchObject({
      off: [],
      without: [],
      waiting: 0,
    });
  const byId = new Map<string, Prediction>(first.map((prediction) => [prediction.requestId, prediction]));
  const truth = new Truth(world, accepted, []);
  for (const request of requests) {
    const prediction = byId.get(request.event.id);
    expect(prediction?.status, `${request.event.id}: ${prediction?.reason}, ${story}`).toBe('scored');
    for (const { asOf, head } of prediction?.reads ?? []) expect(asOf, story).toBe(head);
    if (prediction !== undefined) expect(truth.difference(prediction, request), story).toBeNull();
  }
  return { repeats, faults };
}

describe('a whole history on the twins', () => {
  it('without faults answers every request from its full head', async () => {
    const { repeats } = await check({ seed: 1, trips: 300, faults: [], faultEveryMs: 1 });
    expect(repeats).toBe(0);
  });

  for (const fault of FAULTS)
    it(`is the same under: ${fault}`, async () => {
      for (let seed = 1; seed <= 6; seed += 1)
        await check({ seed, trips: 150, faults: [fault], faultEveryMs: 150 });
    });

  for (const speed of [60, 3_600])
    it(`is the same at ${speed} times the speed of time`, async () => {
      await check({ seed: 3, trips: 100, faults: ['kill', 'rollback'], faultEveryMs: 5_000, speed });
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
