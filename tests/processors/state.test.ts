import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asOf } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import { floorTo } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { buildView } from './build-view.ts';
import { dice, expectSameBits, readLogs } from './harness.ts';
import { AROUND, contributionsOf, historyOf, spanOf, viewSpecs, ZONES } from './random-views.ts';

/** Bytes that a state gives to the store, by entity and set. */
function bytesOf(state: ViewState, oldest: number): Map<string, string> {
  return new Map(
    [...state.encode(oldest)].map(({ entity, set, bytes }) => [
      `${entity} ${set}`,
      Buffer.from(bytes).toString('hex'),
    ]),
  );
}

/** Tiles alone, compacted often; bytes alone, as the store holds them; tiles until memory ends, then bytes. */
const forms = (view: View) => ({
  tiles: new ViewState(view, { room: 3 }),
  bytes: new ViewState(view, { maxTileBytes: 0 }),
  mixed: new ViewState(view, { room: 3, maxTileBytes: 2_000 }),
});

describe('a state in memory', () => {
  it('law: tiles, bytes and a change between them read and write the same bits', () => {
    let reads = 0;
    fc.assert(
      fc.property(viewSpecs, fc.nat(120), fc.integer(), (spec, count, seed) => {
        const view = buildView(spec);
        const next = dice(seed);
        const states = forms(view);
        const all = Object.values(states);
        let oldest = Number.NEGATIVE_INFINITY;
        for (const contribution of contributionsOf(view, historyOf(view, count, next, AROUND, AROUND))) {
          for (const state of all) state.apply(contribution);
          if (next() < 0.1) {
            oldest = Math.max(oldest, floorTo(AROUND - spanOf(view) * next() ** 2, view.resolution));
            for (const state of all) state.prune(oldest);
          }
          if (next() < 0.7) continue;
          const time = AROUND - Math.floor(next() ** 4 * spanOf(view));
          const request = { time, zone: ZONES[Math.floor(next() * ZONES.length)] ?? null };
          const [first, ...others] = all.map((state) => {
            const out = new Float64Array(view.features.length).fill(12_345);
            const status = state.read(contribution.entity, request, asOf(view, time, AROUND), out, 0);
            return { status, values: [...out] };
          });
          for (const other of others) {
            expect(other.status).toBe(first?.status);
            expectSameBits(view, other.values, first?.values ?? []);
          }
          if (first?.status === 'ok') reads += 1;
        }
        const written = bytesOf(states.bytes, AROUND);
        expect(bytesOf(states.tiles, AROUND)).toEqual(written);
        expect(bytesOf(states.mixed, AROUND)).toEqual(written);
      }),
      { numRuns: 200 },
    );
    expect(reads).toBeGreaterThan(500);
  });

  it('is held as bytes from where a sum over all its tiles might not be exact', () => {
    const view = buildView({
      inputs: [{ name: 'x' }],
      windows: [{ aggregation: 'sum', input: 0, length: 3_600_000 }],
    });
    const state = new ViewState(view);
    // The windows stay below 2^53, all of them together do not.
    const at = (hour: number) => AROUND + hour * 3_600_000;
    const value = 2 ** 52 + 1;
    for (let hour = 0; hour < 6; hour += 1) {
      state.apply({ offset: hour, time: at(hour), at: null, entity: 'e', values: [value] });
      const out = new Float64Array(1);
      const time = at(hour) + 1_800_000;
      state.read('e', { time, zone: null }, asOf(view, time, Number.MAX_SAFE_INTEGER), out, 0);
      expect(out[0]).toBe(value);
    }
    const [log] = [...state.encode(at(0))];
    const time = at(5) + 1_800_000;
    const edge = asOf(view, time, Number.MAX_SAFE_INTEGER);
    expect(readLogs(view, [log?.bytes ?? null], { time, zone: null }, edge)).toEqual([value]);
  });
});
