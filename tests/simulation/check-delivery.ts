import { expect } from 'vitest';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { auditViews } from './audited.ts';
import { type Fault, type HistoryOptions, history } from './history.ts';
import { Truth } from './truth.ts';

/** A history, and all that it must keep: nothing lost, nothing double, every value the oracle's at its full head. */
export async function checkDelivery(options: HistoryOptions): Promise<{
  readonly repeats: number;
  readonly faults: readonly Fault[];
  readonly answers: readonly Prediction[];
}> {
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
  return { repeats, faults, answers: first };
}
