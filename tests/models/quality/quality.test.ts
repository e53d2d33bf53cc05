import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { metricsOf } from '../../../models/metrics.ts';
import { normalQuantile, studentQuantile } from '../../../models/quality/distributions.ts';
import { qualityBySlice, qualityOf } from '../../../models/quality/quality.ts';
import { MISSING_REASONS } from '../../../models/quality/types.ts';
import { createRandom } from '../../../models/random.ts';
import { QUALITY_STATISTICS, type QualityStatistic } from '../../../schemas/monitoring.ts';

interface Fixture {
  readonly cases: readonly {
    readonly name: string;
    readonly scores: readonly number[];
    readonly labels: readonly number[];
    readonly threshold: number;
    readonly figures: Readonly<Record<string, readonly number[]>>;
  }[];
  readonly normal: ReadonlyArray<readonly [p: number, value: number]>;
  readonly student: ReadonlyArray<readonly [p: number, freedom: number, value: number]>;
}
const fixture: Fixture = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/scikit.json'), 'utf8'));

/** Calibrated scores, unless `shift` moves the truth's logit away from them. */
function window(rows: number, seed: number, { spread = 1.5, shift = 0 } = {}) {
  const random = createRandom(seed);
  const scores = new Float64Array(rows);
  const labels = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    const logit = -1.5 + spread * random.normal();
    scores[i] = 1 / (1 + Math.exp(-logit));
    labels[i] = random.next() < 1 / (1 + Math.exp(-logit - shift)) ? 1 : 0;
  }
  return { scores, labels };
}

describe('quality of a window', () => {
  for (const one of fixture.cases)
    it(`agrees with scikit-learn and scipy: ${one.name}`, () => {
      const { figures } = qualityOf(Float64Array.from(one.scores), Uint8Array.from(one.labels), one);
      for (const [statistic, [value = Number.NaN, low, high]] of Object.entries(one.figures)) {
        const found = figures[statistic as QualityStatistic];
        expect(found.value, statistic).toBeCloseTo(value, 10);
        if (low !== undefined) expect(found.low, `${statistic} low`).toBeCloseTo(low, 10);
        if (high !== undefined) expect(found.high, `${statistic} high`).toBeCloseTo(high, 10);
      }
    });

  it('has quantiles as scipy has them', () => {
    for (const [p, value] of fixture.normal) expect(normalQuantile(p)).toBeCloseTo(value, 9);
    for (const [p, freedom, value] of fixture.student)
      expect(studentQuantile(p, freedom) / value).toBeCloseTo(1, 9);
  });

  it('law: values agree with models/metrics.ts; intervals hold them; nothing is NaN; the order of rows is nothing', () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(rows, fc.integer({ min: 0, max: 50 }), (pairs, unlabelled) => {
        const options = { threshold: 0.5, predicted: pairs.length + unlabelled };
        const scores = Float64Array.from(pairs, ([score]) => score / 20);
        const labels = Uint8Array.from(pairs, ([, label]) => label);
        const quality = qualityOf(scores, labels, options);
        for (const statistic of QUALITY_STATISTICS) {
          const { value, low, high, reason } = quality.figures[statistic];
          expect(value === null).toBe(reason !== null);
          if (reason !== null) expect(MISSING_REASONS).toHaveProperty(reason);
          if (value === null || low === null || high === null) continue;
          expect(low).toBeLessThanOrEqual(value);
          expect(high).toBeGreaterThanOrEqual(value);
          expect(Number.isFinite(low + value + high)).toBe(true);
        }
        const turned = qualityOf(scores.toReversed(), labels.toReversed(), options);
        for (const statistic of QUALITY_STATISTICS)
          expect(turned.figures[statistic].value ?? -1).toBeCloseTo(
            quality.figures[statistic].value ?? -1,
            12,
          );
        if (pairs.length === 0) return;
        const plain = metricsOf(scores, labels);
        expect(quality.figures.calibration_error.value).toBeCloseTo(plain.calibrationError, 12);
        expect(quality.figures.log_loss.value).toBeCloseTo(plain.logLoss, 12);
        expect(quality.figures.brier.value).toBeCloseTo(plain.brier, 12);
        if (quality.figures.auc.value !== null)
          expect(quality.figures.auc.value).toBeCloseTo(plain.auc ?? Number.NaN, 12);
      }),
    );
  });

  it('says why there is no figure: no rows, one class, a constant score, no decision', () => {
    const none = qualityOf(new Float64Array(0), new Uint8Array(0), { threshold: 0.5, predicted: 7 });
    expect(none.figures.log_loss).toEqual({ value: null, low: null, high: null, reason: 'no_rows' });
    expect(none.figures.label_coverage.value).toBe(0);
    const empty = qualityOf(new Float64Array(0), new Uint8Array(0), { threshold: 0.5 });
    expect(empty.figures.label_coverage.reason).toBe('none_predicted');

    const negative = qualityOf(Float64Array.of(0.1, 0.2), Uint8Array.of(0, 0), { threshold: 0.5 });
    expect(negative.figures.auc.reason).toBe('one_class');
    expect(negative.figures.pr_auc.reason).toBe('one_class');
    expect(negative.figures.recall.reason).toBe('no_positives');
    expect(negative.figures.precision.reason).toBe('no_decision');
    expect(negative.figures.log_loss.value).toBeCloseTo(-(Math.log(0.9) + Math.log(0.8)) / 2, 12);

    const constant = qualityOf(Float64Array.of(0.3, 0.3, 0.3), Uint8Array.of(0, 1, 0), { threshold: 0.5 });
    expect(constant.figures.auc.reason).toBe('constant_score');
    expect(constant.figures.calibration_error.value).toBeCloseTo(1 / 30, 12);

    const one = qualityOf(Float64Array.of(0.3), Uint8Array.of(1), { threshold: 0.5 });
    expect(one.figures.log_loss).toEqual({ value: -Math.log(0.3), low: null, high: null, reason: null });
  });

  it('refuses what is no probability, no label, or fewer predictions than labels', () => {
    const options = { threshold: 0.5 };
    expect(() => qualityOf(Float64Array.of(Number.NaN), Uint8Array.of(1), options)).toThrow('0 to 1');
    expect(() => qualityOf(Float64Array.of(0.5), Uint8Array.of(2), options)).toThrow('label');
    expect(() => qualityOf(Float64Array.of(0.5), Uint8Array.of(1), { ...options, predicted: 0 })).toThrow(
      'at least',
    );
    expect(() => qualityOf(Float64Array.of(0.5), Uint8Array.of(1), { ...options, confidence: 95 })).toThrow(
      'between 0 and 1',
    );
  });

  // A perfect ranking of few rows is no proof of a perfect model.
  it('keeps a width where a small window is perfectly separated', () => {
    const { auc } = qualityOf(Float64Array.of(0.1, 0.2, 0.8, 0.9), Uint8Array.of(0, 0, 1, 1), {
      threshold: 0.5,
    }).figures;
    expect(auc.value).toBe(1);
    expect(auc.low ?? 1).toBeLessThan(0.5);
  });

  it('the same rows and seed give the same bits', () => {
    const { scores, labels } = window(500, 4);
    expect(qualityOf(scores, labels, { threshold: 0.5, seed: 9 })).toEqual(
      qualityOf(scores, labels, { threshold: 0.5, seed: 9 }),
    );
  });

  // Of 300 windows each; below 268 at a true 95 % has a chance of about 1 in 10,000.
  it('intervals hold the truth about as often as they say, on windows of 400 rows', () => {
    const truth = qualityOf(...large({}), { threshold: 0.3 }).figures;
    const held = Object.fromEntries(QUALITY_STATISTICS.map((statistic) => [statistic, 0]));
    for (let seed = 0; seed < 300; seed++) {
      const { scores, labels } = window(400, 1_000 + seed);
      const { figures } = qualityOf(scores, labels, { threshold: 0.3, seed });
      for (const statistic of QUALITY_STATISTICS) {
        const { low, high } = figures[statistic];
        const value = statistic === 'calibration_error' ? 0 : truth[statistic].value;
        if (value !== null && low !== null && high !== null && low <= value && value <= high)
          held[statistic] = (held[statistic] ?? 0) + 1;
      }
    }
    for (const statistic of QUALITY_STATISTICS)
      expect(held[statistic], statistic).toBeGreaterThanOrEqual(268);
    for (const statistic of ['auc', 'pr_auc', 'log_loss', 'brier', 'base_rate'])
      expect(held[statistic], statistic).toBeLessThan(298);
  });

  it('the calibration error of a model that is off is held too', () => {
    const truth =
      qualityOf(...large({ shift: 0.6 }), { threshold: 0.3 }).figures.calibration_error.value ?? 0;
    let held = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { scores, labels } = window(1_000, 5_000 + seed, { shift: 0.6 });
      const { low, high } = qualityOf(scores, labels, { threshold: 0.3, seed }).figures.calibration_error;
      if ((low ?? 1) <= truth && truth <= (high ?? 0)) held++;
    }
    expect(held).toBeGreaterThanOrEqual(176);
  });
});

function large(options: { shift?: number }): [Float64Array, Uint8Array] {
  const { scores, labels } = window(400_000, 77, options);
  return [scores, labels];
}

describe('quality by slice', () => {
  it('leaves small slices and rows in none out, and counts predictions by slice', () => {
    const { scores, labels } = window(60, 3);
    const slices = Array.from(scores, (_, i) =>
      i % 10 === 0 ? 'small' : i % 3 === 0 ? null : i < 30 ? 'b' : 'a',
    );
    const found = qualityBySlice(scores, labels, slices, {
      threshold: 0.5,
      minRows: 7,
      predictedBySlice: new Map([['a', 100]]),
    });
    expect(found.map(({ slice }) => slice)).toEqual(['a', 'b']);
    for (const { slice, quality } of found) {
      const mine = slices.flatMap((name, i) => (name === slice ? [i] : []));
      expect(quality.rows).toBe(mine.length);
      expect(quality.predicted).toBe(slice === 'a' ? 100 : mine.length);
      const alone = qualityOf(
        Float64Array.from(mine, (i) => scores[i] ?? 0),
        Uint8Array.from(mine, (i) => labels[i] ?? 0),
        { threshold: 0.5 },
      );
      expect(quality.figures.log_loss).toEqual(alone.figures.log_loss);
    }
  });
});
