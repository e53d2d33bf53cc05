import type { EventRecord } from '../../schemas/event.ts';
import { SnapshotReader } from '../../streams/inference/snapshot.ts';
import { VectorReader } from '../../streams/inference/vector.ts';
import type { Flights } from '../scenarios/flights.ts';
import { quantiles } from './cpu.ts';

export interface FeatureReads {
  readonly features: number;
  /** ms for the whole vector of one request. */
  readonly one: { readonly n: number; readonly p50: number; readonly p99: number; readonly max: number };
  /** ms for the whole vectors of a hundred requests, together. */
  readonly hundred: { readonly n: number; readonly p50: number; readonly p99: number; readonly max: number };
}

/** Round trip to the store, decoding and assembly of a model's vectors, for the last requests answered. */
export async function measureFeatureReads(
  flights: Flights,
  requests: readonly EventRecord[],
): Promise<FeatureReads> {
  const vectors = new VectorReader(
    flights.project,
    flights.model,
    new SnapshotReader(flights.platform.store),
  );
  const targeted = requests.flatMap((event) => {
    const targets = vectors.targets(event, event.time);
    return targets === null ? [] : [{ event, time: event.time, targets }];
  });
  const time = async (size: number, runs: number): Promise<number[]> => {
    const times: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      const at = (run * size) % Math.max(1, targeted.length - size);
      const started = performance.now();
      await vectors.read(targeted.slice(at, at + size));
      times.push(performance.now() - started);
    }
    return times.slice(Math.floor(runs / 10));
  };
  const one = quantiles(await time(1, 2_000));
  const hundred = quantiles(await time(100, 300));
  return { features: flights.model.features.length, one, hundred };
}
