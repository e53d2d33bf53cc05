import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auc,
  brier,
  calibrationError,
  dayOf,
  logLoss,
  metricsByGroup,
  metricsOf,
  reliability,
} from '../../models/metrics.ts';

const S = (...values: number[]) => Float64Array.from(values);
const L = (...values: number[]) => Uint8Array.from(values);

const pairs = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1 })), {
  minLength: 1,
  maxLength: 80,
});
const scoresOf = (rows: [number, number][]) => Float64Array.from(rows, ([score]) => score / 20);
const labelsOf = (rows: [number, number][]) => Uint8Array.from(rows, ([, label]) => label);

describe('AUC', () => {
  it('is 3/4 on the four rows of the scikit-learn manual', () => {
    expect(auc(S(0.1, 0.4, 0.35, 0.8), L(0, 0, 1, 1))).toBe(0.75);
  });

  it('counts a tie as half, and has no value for one class', () => {
    expect(auc(S(0.5, 0.5), L(0, 1))).toBe(0.5);
    expect(auc(S(0.2, 0.5, 0.5, 0.9), L(0, 0, 1, 1))).toBe(0.875);
    expect(auc(S(0.2, 0.5), L(1, 1))).toBeNull();
  });

  it('law: the share of pairs in the right order, whatever the order of the rows', () => {
    fc.assert(
      fc.property(pairs, (rows) => {
        let right = 0;
        let all = 0;
        for (const [a, la] of rows) {
          for (const [b, lb] of rows) {
            if (la === 1 && lb === 0) {
              all++;
              right += a > b ? 1 : a === b ? 0.5 : 0;
            }
          }
        }
        const found = auc(scoresOf(rows), labelsOf(rows));
        if (all === 0) expect(found).toBeNull();
        else expect(found).toBeCloseTo(right / all, 12);
        const turned = [...rows].reverse();
        expect(auc(scoresOf(turned), labelsOf(turned))).toBe(found);
      }),
    );
  });
});

describe('log loss and Brier', () => {
  it('agree with the figures of the scikit-learn manual', () => {
    expect(logLoss(S(0.1, 0.9, 0.8, 0.35), L(0, 1, 1, 1))).toBeCloseTo(
      (-Math.log(0.9) * 2 - Math.log(0.8) - Math.log(0.35)) / 4,
      15,
    );
    expect(brier(S(0.1, 0.9, 0.8, 0.3), L(0, 1, 1, 0))).toBeCloseTo(0.0375, 15);
  });

  it('stay finite for a certain mistake', () => {
    expect(logLoss(S(0), L(1))).toBeCloseTo(-Math.log(1e-15), 10);
    expect(brier(S(0), L(1))).toBe(1);
  });

  it('refuse what is no probability or no label', () => {
    expect(() => logLoss(S(1.1), L(1))).toThrow('0 to 1');
    expect(() => brier(S(Number.NaN), L(1))).toThrow('0 to 1');
    expect(() => brier(S(0.5), L(2))).toThrow('label');
    expect(() => brier(S(), L())).toThrow('at least one row');
  });
});

describe('calibration', () => {
  it('is the weighted gap between mean score and rate, by hand', () => {
    // parts of two: (.1, .3 | 0, 1): .2 against .5; (.6, .8 | 1, 1): .7 against 1
    expect(calibrationError(S(0.8, 0.1, 0.6, 0.3), L(1, 0, 1, 1), 2)).toBeCloseTo(0.3, 12);
    expect(reliability(S(0.8, 0.1, 0.6, 0.3), L(1, 0, 1, 1), 2)).toEqual([
      { rows: 2, meanScore: 0.2, rate: 0.5, lowest: 0.1, highest: 0.3 },
      { rows: 2, meanScore: 0.7, rate: 1, lowest: 0.6, highest: 0.8 },
    ]);
  });

  it('law: no part cuts equal scores, all rows are in one, and the order of rows does not matter', () => {
    fc.assert(
      fc.property(pairs, fc.integer({ min: 1, max: 20 }), (rows, bins) => {
        const table = reliability(scoresOf(rows), labelsOf(rows), bins);
        expect(table.reduce((sum, bin) => sum + bin.rows, 0)).toBe(rows.length);
        for (const [at, bin] of table.entries()) {
          expect(bin.highest).toBeLessThan(table[at + 1]?.lowest ?? Number.POSITIVE_INFINITY);
        }
        const turned = [...rows].reverse();
        const other = reliability(scoresOf(turned), labelsOf(turned), bins);
        expect(other.map((bin) => [bin.rows, bin.rate])).toEqual(table.map((bin) => [bin.rows, bin.rate]));
      }),
    );
  });
});

describe('all figures at once', () => {
  it('law: are those of the single functions, and a group is its rows alone', () => {
    fc.assert(
      fc.property(pairs, (rows) => {
        const scores = scoresOf(rows);
        const labels = labelsOf(rows);
        const all = metricsOf(scores, labels);
        expect(all.auc).toBe(auc(scores, labels));
        expect(all.logLoss).toBe(logLoss(scores, labels));
        expect(all.brier).toBe(brier(scores, labels));
        expect(all.calibrationError).toBe(calibrationError(scores, labels));
        const groups = rows.map((_, i) => i % 3);
        for (const { group, metrics } of metricsByGroup(scores, labels, groups)) {
          const own = rows.filter((_, i) => i % 3 === group);
          expect(metrics).toEqual(metricsOf(scoresOf(own), labelsOf(own)));
        }
      }),
    );
  });

  it('counts days in UTC', () => {
    expect(dayOf(0)).toBe(0);
    expect(dayOf(-1)).toBe(-1);
    expect(dayOf(Date.UTC(2001, 2, 23))).toBe(Date.UTC(2001, 2, 23) / 86_400_000);
    expect(dayOf(Date.UTC(2001, 2, 23) - 1)).toBe(dayOf(Date.UTC(2001, 2, 23)) - 1);
  });
});
