import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCalibrator, fitCalibration } from '../../models/calibration.ts';
import { sigmoid } from '../../models/dense.ts';
import { logLoss } from '../../models/metrics.ts';
import { createRandom } from '../../models/random.ts';

const rows = fc.array(fc.tuple(fc.integer({ min: -8, max: 8 }), fc.integer({ min: 0, max: 1 })), {
  minLength: 1,
  maxLength: 60,
});
const logitsOf = (pairs: [number, number][]) => Float64Array.from(pairs, ([x]) => x / 2);
const labelsOf = (pairs: [number, number][]) => Uint8Array.from(pairs, ([, y]) => y);

/** Labels drawn at sigmoid(0.5 x - 1): the raw logits are twice too sure. */
function drawn(count: number): { logits: Float64Array; labels: Uint8Array } {
  const random = createRandom(5);
  const logits = Float64Array.from({ length: count }, () => random.normal() * 3);
  const labels = Uint8Array.from(logits, (x) => (random.next() < sigmoid(0.5 * x - 1) ? 1 : 0));
  return { logits, labels };
}

/** The best rising fit by its max-min formula (Robertson, Wright and Dykstra 1988), from the definition. */
function naiveIsotonic(pairs: [number, number][], x: number): number {
  const rate = (from: number, to: number) => {
    const own = pairs.filter(([at]) => at >= from && at <= to);
    return own.length === 0 ? null : own.reduce((sum, [, y]) => sum + y, 0) / own.length;
  };
  const xs = [...new Set(pairs.map(([at]) => at))];
  const lows = xs.filter((from) => from <= x);
  const highs = xs.filter((to) => to >= x);
  return Math.max(...lows.map((from) => Math.min(...highs.map((to) => rate(from, to) ?? 1))));
}

describe('calibration', () => {
  it('none is the logistic function itself', () => {
    const calibrate = createCalibrator(fitCalibration('none', new Float64Array(), new Uint8Array()));
    expect(calibrate(1.25)).toBe(sigmoid(1.25));
  });

  it('Platt finds the slope and the intercept that the labels were drawn with', () => {
    const { logits, labels } = drawn(20_000);
    const fitted = fitCalibration('platt', logits, labels);
    if (fitted.kind !== 'platt') throw new Error(fitted.kind);
    expect(fitted.slope).toBeCloseTo(0.5, 1);
    expect(fitted.intercept).toBeCloseTo(-1, 1);
  });

  it('both make the log loss of wrong probabilities smaller', () => {
    const { logits, labels } = drawn(5_000);
    const raw = logLoss(logits.map(sigmoid), labels);
    for (const kind of ['platt', 'isotonic'] as const) {
      const calibrate = createCalibrator(fitCalibration(kind, logits, labels));
      expect(logLoss(logits.map(calibrate), labels)).toBeLessThan(raw - 0.05);
    }
  });

  it('isotonic pools ties before neighbours: the first label of a tie says nothing yet', () => {
    const pairs: [number, number][] = [
      [2, 1],
      [2, 0],
      [4, 0],
      [4, 1],
      [4, 1],
      [4, 1],
    ];
    const calibrate = createCalibrator(fitCalibration('isotonic', logitsOf(pairs), labelsOf(pairs)));
    expect(calibrate(1)).toBe(0.5);
    expect(calibrate(2)).toBe(0.75);
  });

  it('law: isotonic is the best rising fit at every row', () => {
    fc.assert(
      fc.property(rows, (pairs) => {
        const calibrate = createCalibrator(fitCalibration('isotonic', logitsOf(pairs), labelsOf(pairs)));
        for (const [x] of pairs) expect(calibrate(x / 2)).toBeCloseTo(naiveIsotonic(pairs, x), 12);
      }),
    );
  });

  it('law: isotonic never falls, both stay probabilities, and survive JSON bit for bit', () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { maxLength: 20 }),
        (pairs, probes) => {
          for (const kind of ['platt', 'isotonic'] as const) {
            const fitted = fitCalibration(kind, logitsOf(pairs), labelsOf(pairs));
            const calibrate = createCalibrator(fitted);
            const restored = createCalibrator(JSON.parse(JSON.stringify(fitted)));
            let before = 0;
            for (const x of probes.sort((a, b) => a - b)) {
              const p = calibrate(x);
              expect(restored(x)).toBe(p);
              expect(p).toBeGreaterThanOrEqual(0);
              expect(p).toBeLessThanOrEqual(1);
              // Between equal rates a line may lose a last bit.
              if (kind === 'isotonic') expect(p).toBeGreaterThanOrEqual(before - 1e-12);
              before = p;
            }
          }
        },
      ),
    );
  });
});
