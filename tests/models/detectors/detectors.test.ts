import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adwin } from '../../../models/detectors/adwin.ts';
import { ddm } from '../../../models/detectors/ddm.ts';
import { DETECTORS } from '../../../models/detectors/index.ts';
import { pageHinkley } from '../../../models/detectors/page-hinkley.ts';
import { scoreDetectors, seriesOf } from '../../../models/detectors/score.ts';
import { createRandom, type Random } from '../../../models/random.ts';
import { checkDetector } from './laws.ts';

const gaussian = (random: Random, mean: number) => mean + random.normal();
const error = (random: Random, mean: number) => Number(random.next() < mean);

checkDetector(pageHinkley, {
  draw: gaussian,
  levels: [5, 6],
  within: 120,
  falseAlarms: 0.2,
  refuses: [1e101],
});
checkDetector(adwin, { draw: gaussian, levels: [5, 6], within: 200, falseAlarms: 0.1, refuses: [1e101] });
checkDetector(ddm, {
  draw: error,
  levels: [0.1, 0.3],
  within: 700,
  falseAlarms: 2,
  refuses: [0.5, 2, -1],
});

describe('Page-Hinkley', () => {
  it('sees a fall only when asked to', () => {
    const falls = seriesOf(
      { noise: 'gaussian', change: 'abrupt', before: 1_000, length: 2_000, over: 1 },
      createRandom(1),
    ).map((value) => -value);
    const drifts = (twoSided: boolean) => {
      const detector = pageHinkley.create({ twoSided });
      return [...falls].filter((value) => detector.update(value) === 'drift').length;
    };
    expect(drifts(false)).toBe(0);
    expect(drifts(true)).toBe(1);
  });

  it('does not care for the unit of the values', () => {
    const values = [
      ...seriesOf(
        { noise: 'gaussian', change: 'abrupt', before: 1_000, length: 2_000, over: 1 },
        createRandom(2),
      ),
    ];
    const signals = (unit: number) => {
      const detector = pageHinkley.create();
      return values.map((value) => detector.update(value * unit));
    };
    expect(signals(1_024)).toEqual(signals(1));
    expect(signals(1)).toContain('drift');
  });
});

describe('ADWIN', () => {
  it('keeps a number of buckets that grows with the logarithm of its window, and the exact sum', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 3_000 }), (values) => {
        const detector = adwin.create();
        let held: number[] = [];
        for (const value of values) {
          held.push(value);
          detector.update(value);
          const { count } = detector.get();
          // What it dropped is the oldest.
          held = held.slice(held.length - count);
        }
        const { rows, count, sum, m2 } = detector.serialise();
        expect(rows.flat().length).toBeLessThanOrEqual(6 * (Math.log2(values.length + 1) + 1));
        for (const row of rows) expect(row.length).toBeLessThanOrEqual(5);
        expect(count).toBeLessThanOrEqual(values.length);
        expect(sum).toBe(held.reduce((all, value) => all + value, 0));
        const mean = sum / count;
        expect(m2).toBeCloseTo(
          held.reduce((all, value) => all + (value - mean) ** 2, 0),
          6,
        );
      }),
      { numRuns: 30 },
    );
  });

  it('drops the old part of the window at a change, and has a bound on its length', () => {
    const detector = adwin.create();
    const random = createRandom(3);
    for (let i = 0; i < 4_000; i++) detector.update(error(random, 0.1));
    expect(detector.get().count).toBe(4_000);
    for (let i = 0; i < 1_000; i++) detector.update(error(random, 0.6));
    expect(detector.get().count).toBeLessThan(1_200);
    const short = adwin.create({ maxWindow: 500 });
    for (let i = 0; i < 5_000; i++) {
      short.update(error(random, 0.3));
      expect(short.get().count).toBeLessThanOrEqual(500);
    }
    expect(short.get().count).toBeGreaterThan(200);
  });
});

describe('scoring detectors', () => {
  it('every change is seen by those that are made for it, and the same seed gives the same table', () => {
    const scores = scoreDetectors({ seed: 1, series: 8 });
    expect(scoreDetectors({ seed: 1, series: 8 })).toEqual(scores);
    expect(scores.map(({ detector }) => detector)).toEqual(
      Object.keys(DETECTORS).flatMap((name) => new Array(name === 'ddm' ? 3 : 6).fill(name)),
    );
    for (const { detector, change, found, medianDelay, falseAlarms } of scores) {
      expect(found === null).toBe(change === 'none');
      if (change === 'none') expect(medianDelay).toBeNull();
      if (detector !== 'ddm') {
        if (found !== null) expect(found).toBe(8);
        expect(falseAlarms).toBeLessThan(0.5);
      }
    }
    const delay = (detector: string, change: string) =>
      scores.find((one) => one.detector === detector && one.noise === 'gaussian' && one.change === change)
        ?.medianDelay ?? 0;
    expect(delay('adwin', 'gradual')).toBeGreaterThan(delay('adwin', 'abrupt'));
  });

  it('the series are what they say', () => {
    const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const shape = { before: 4_000, length: 8_000, over: 2_000 };
    const abrupt = seriesOf({ ...shape, noise: 'bernoulli', change: 'abrupt' }, createRandom(9));
    expect(mean(abrupt.subarray(0, 4_000))).toBeCloseTo(0.15, 1);
    expect(mean(abrupt.subarray(4_000))).toBeCloseTo(0.3, 1);
    expect(new Set(abrupt)).toEqual(new Set([0, 1]));
    const gradual = seriesOf({ ...shape, noise: 'gaussian', change: 'gradual' }, createRandom(9));
    expect(mean(gradual.subarray(4_800, 5_200))).toBeCloseTo(0.4, 1);
    expect(mean(gradual.subarray(7_000))).toBeCloseTo(0.45, 1);
    expect(Object.values(DETECTORS).every(({ paper }) => /\d{4}/.test(paper))).toBe(true);
  });
});
