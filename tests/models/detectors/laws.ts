import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detector, DetectorKind, Signal } from '../../../models/detectors/detector.ts';
import { createRandom, type Random } from '../../../models/random.ts';

export interface DetectorLaws {
  /** A value with this mean, of the kind that the detector takes. */
  readonly draw: (random: Random, mean: number) => number;
  /** Means before and after a change that must be seen. */
  readonly levels: readonly [number, number];
  /** Values after the change by which 9 series of 10 must have been alarmed. */
  readonly within: number;
  /** Most false alarms for 10,000 values of a steady series. */
  readonly falseAlarms: number;
  /** A value that a numeric detector would take and this one does not. */
  readonly refuses: readonly number[];
}

/** What every detector must do. */
export function checkDetector<Options, State>(kind: DetectorKind<Options, State>, laws: DetectorLaws): void {
  const { draw, levels, within, falseAlarms, refuses } = laws;
  const series = (seed: number, before: number, after: number): number[] => {
    const random = createRandom(seed);
    return Array.from({ length: before + after }, (_, i) => draw(random, levels[i < before ? 0 : 1]));
  };
  const feed = (detector: Detector<State>, values: readonly number[]): Signal[] =>
    values.map((value) => detector.update(value));
  const viaJson = (state: State): State => JSON.parse(JSON.stringify(state)) as State;

  describe(`detector: ${kind.name}`, () => {
    it('law: restored from its state, through JSON too, it goes on as it would have', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 0, max: 1e6 }),
          fc.integer({ min: 0, max: 600 }),
          fc.integer({ min: 0, max: 600 }),
          (seed, changeAt, cutAt) => {
            const values = series(seed, changeAt, 600 - changeAt + 200);
            const detector = kind.create();
            feed(detector, values.slice(0, cutAt));
            const state = detector.serialise();
            const other = kind.restore(viaJson(state));
            expect(other.serialise()).toEqual(state);
            expect(other.get()).toEqual(detector.get());
            const rest = values.slice(cutAt);
            expect(feed(other, rest)).toEqual(feed(detector, rest));
            expect(other.serialise()).toEqual(detector.serialise());
          },
        ),
        { numRuns: 40 },
      );
    });

    it('law: a state is a copy: what comes later does not change it', () => {
      const detector = kind.create();
      feed(detector, series(1, 200, 0));
      const state = detector.serialise();
      const before = JSON.stringify(state);
      feed(detector, series(2, 200, 0));
      feed(kind.restore(state), series(3, 200, 0));
      expect(JSON.stringify(state)).toBe(before);
    });

    it('law: the same values give the same signals', () => {
      const values = series(5, 1_500, 1_500);
      expect(feed(kind.create(), values)).toEqual(feed(kind.create(), values));
    });

    it('law: what is no number is refused, and leaves it as it was', () => {
      const detector = kind.create();
      feed(detector, series(4, 500, 0));
      const before = JSON.stringify(detector.serialise());
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, ...refuses])
        expect(() => detector.update(bad)).toThrow(RangeError);
      expect(JSON.stringify(detector.serialise())).toBe(before);
    });

    it('law: it tells the mean and the count of what it holds, and is finite from the first value on', () => {
      const detector = kind.create();
      expect(detector.get()).toEqual({ mean: 0, count: 0 });
      const values = series(6, 50, 0);
      values.forEach((value, i) => {
        detector.update(value);
        const { mean, count } = detector.get();
        expect(count).toBe(i + 1);
        const wanted = values.slice(0, i + 1).reduce((sum, one) => sum + one, 0) / (i + 1);
        expect(mean).toBeCloseTo(wanted, 9);
      });
    });

    it('law: a series that never varies is no drift', () => {
      const steady = new Array<number>(3_000).fill(1);
      expect(new Set(feed(kind.create(), steady))).toEqual(new Set(['none']));
    });

    it(`steady series: at most ${falseAlarms} false alarms for 10,000 values`, () => {
      let alarms = 0;
      for (let seed = 0; seed < 20; seed++)
        alarms += feed(kind.create(), series(seed, 10_000, 0)).filter((signal) => signal === 'drift').length;
      expect(alarms / 20).toBeLessThanOrEqual(falseAlarms);
    });

    it(`an abrupt change is found, in 9 of 10 series within ${within} values`, () => {
      const delays: number[] = [];
      for (let seed = 100; seed < 130; seed++) {
        const signals = feed(kind.create(), series(seed, 2_000, 2_000)).slice(2_000);
        const at = signals.indexOf('drift');
        delays.push(at < 0 ? Number.POSITIVE_INFINITY : at + 1);
      }
      delays.sort((a, b) => a - b);
      expect(delays[26]).toBeLessThanOrEqual(within);
    });

    it('after the change it comes to hold the new mean', () => {
      const detector = kind.create();
      feed(detector, series(42, 2_000, 6_000));
      const { mean } = detector.get();
      expect(Math.abs(mean - levels[1])).toBeLessThan(Math.abs(levels[1] - levels[0]) / 4);
    });

    it('a damaged state, or an option that is no number above 0, is refused', () => {
      const detector = kind.create();
      feed(detector, series(7, 100, 0));
      const damaged = { ...detector.serialise(), count: Number.NaN };
      expect(() => kind.restore(damaged)).toThrow(/damaged/);
      const key = Object.keys((detector.serialise() as { options: object }).options)[0] ?? '';
      expect(() => kind.create({ [key]: -1 } as unknown as Partial<Options>)).toThrow(RangeError);
      expect(() => kind.create({ [key]: Number.NaN } as unknown as Partial<Options>)).toThrow(RangeError);
    });
  });
}
