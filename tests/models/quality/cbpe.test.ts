import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCalibrator, fitCalibration } from '../../../models/calibration.ts';
import { errorsOf, estimateQuality } from '../../../models/quality/cbpe.ts';
import { conformalWidth } from '../../../models/quality/conformal.ts';
import { qualityOf } from '../../../models/quality/quality.ts';
import type { EstimateErrors } from '../../../models/quality/types.ts';
import { createRandom, type Random } from '../../../models/random.ts';
import { ESTIMATED_STATISTICS } from '../../../schemas/monitoring.ts';

const options = { threshold: 0.3, resamples: 0 };
const logit = (p: number) => Math.log(p / (1 - p));
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** A window whose labels are drawn from the scores, their logits moved by `shift`. */
function window(rows: number, random: Random, shift: number) {
  const scores = new Float64Array(rows);
  const labels = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    const score = sigmoid(-1.4 + 1.3 * random.normal());
    scores[i] = score;
    labels[i] = random.next() < sigmoid(logit(score) + shift) ? 1 : 0;
  }
  return { scores, labels };
}

describe('figures from scores alone', () => {
  it('law: are the mean over all labels that could come, and the deviation of that', () => {
    const chances = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 7 });
    fc.assert(
      fc.property(chances, (tenths) => {
        const scores = Float64Array.from(tenths, (tenth) => tenth / 10);
        const { figures } = estimateQuality(scores, options);
        const mean = { log_loss: 0, brier: 0, base_rate: 0, precision: 0 };
        const square = { log_loss: 0, brier: 0, base_rate: 0, precision: 0 };
        let [right, pairs] = [0, 0];
        for (let outcome = 0; outcome < 2 ** scores.length; outcome++) {
          const labels = Uint8Array.from(scores, (_, i) => (outcome >> i) & 1);
          const chance = scores.reduce((product, p, i) => product * (labels[i] === 1 ? p : 1 - p), 1);
          const truth = qualityOf(scores, labels, options);
          for (const statistic of ['log_loss', 'brier', 'base_rate', 'precision'] as const) {
            const value = truth.figures[statistic].value ?? 0;
            mean[statistic] += chance * value;
            square[statistic] += chance * value * value;
          }
          const possible = truth.positives * (scores.length - truth.positives);
          pairs += chance * possible;
          right += chance * possible * (truth.figures.auc.value ?? 0);
        }
        for (const statistic of ['log_loss', 'brier', 'base_rate', 'precision'] as const) {
          const { value, sd } = figures[statistic];
          if (value === null || sd === null) continue;
          expect(value).toBeCloseTo(mean[statistic], 10);
          expect(sd ** 2).toBeCloseTo(square[statistic] - mean[statistic] ** 2, 10);
        }
        if (figures.auc.value !== null) expect(figures.auc.value).toBeCloseTo(right / pairs, 10);
      }),
      { numRuns: 60 },
    );
  });

  it('deviations of AUC and recall are those of drawn labels', () => {
    const random = createRandom(3);
    const { scores } = window(600, random, 0);
    const { figures } = estimateQuality(scores, options);
    for (const statistic of ['auc', 'recall'] as const) {
      let [sum, squares] = [0, 0];
      for (let draw = 0; draw < 1_500; draw++) {
        const labels = Uint8Array.from(scores, (p) => (random.next() < p ? 1 : 0));
        const value = qualityOf(scores, labels, options).figures[statistic].value ?? 0;
        sum += value;
        squares += value * value;
      }
      const mean = sum / 1_500;
      expect(figures[statistic].value).toBeCloseTo(mean, 2);
      const ratio = (figures[statistic].sd ?? 0) / Math.sqrt(squares / 1_500 - mean * mean);
      expect(ratio, statistic).toBeGreaterThan(0.9);
      expect(ratio, statistic).toBeLessThan(1.1);
    }
  });

  it('a recalibration mends scores that lie, and leaves the ranking and the decision as they are', () => {
    const random = createRandom(5);
    const reference = window(20_000, random, -0.7);
    const calibrator = createCalibrator(
      fitCalibration('platt', reference.scores.map(logit), reference.labels),
    );
    const recalibrate = (score: number) => calibrator(logit(score));
    const { scores, labels } = window(20_000, random, -0.7);
    const truth = qualityOf(scores, labels, options).figures;
    const plain = estimateQuality(scores, options).figures;
    const mended = estimateQuality(scores, { ...options, recalibrate }).figures;
    for (const statistic of ESTIMATED_STATISTICS) {
      const off = (value: number | null) => Math.abs((value ?? 9) - (truth[statistic].value ?? 0));
      expect(off(mended[statistic].value), statistic).toBeLessThan(4 * (mended[statistic].sd ?? 0));
      if (statistic !== 'auc' && statistic !== 'recall')
        expect(off(plain[statistic].value), statistic).toBeGreaterThan(4 * (plain[statistic].sd ?? 0));
    }
  });

  it('says why there is no figure', () => {
    const none = estimateQuality(new Float64Array(0), options).figures;
    for (const statistic of ESTIMATED_STATISTICS) expect(none[statistic].reason).toBe('no_rows');
    const constant = estimateQuality(Float64Array.of(0.2, 0.2), options).figures;
    expect(constant.auc.reason).toBe('constant_score');
    expect(constant.precision.reason).toBe('no_decision');
    const zero = estimateQuality(Float64Array.of(0.2, 0.4), { ...options, recalibrate: () => 0 }).figures;
    expect(zero.auc.reason).toBe('one_class');
    expect(zero.recall.reason).toBe('no_positives');
    expect(() => estimateQuality(Float64Array.of(Number.NaN), options)).toThrow('0 to 1');
    expect(() => estimateQuality(Float64Array.of(0.2), { ...options, recalibrate: () => 2 })).toThrow(
      '0 to 1',
    );
  });
});

/** Runs windows one after another, each with the errors of those before; counts how often the truth was held. */
function coverage(shiftOf: (random: Random) => number, rounds: number, past: number, seed: number) {
  const random = createRandom(seed);
  const held = { auc: 0, log_loss: 0, brier: 0, precision: 0, recall: 0, base_rate: 0 };
  const width = { ...held };
  for (let round = 0; round < rounds; round++) {
    const pastErrors: EstimateErrors[] = [];
    for (let at = 0; at <= past; at++) {
      const { scores, labels } = window(300, random, shiftOf(random));
      const estimated = estimateQuality(scores, { ...options, pastErrors: at < past ? [] : pastErrors });
      const truth = qualityOf(scores, labels, options);
      if (at < past) pastErrors.push(errorsOf(estimated, truth));
      else
        for (const statistic of ESTIMATED_STATISTICS) {
          const { low, high } = estimated.figures[statistic];
          const value = truth.figures[statistic].value;
          if (value === null || low === null || high === null)
            throw new Error('Every window has its figures.');
          if (low <= value && value <= high) held[statistic]++;
          width[statistic] += (high - low) / rounds;
        }
    }
  }
  return { held, width };
}

describe('the interval of an estimate', () => {
  // 150 rounds: below 133 at a true 95 % has a chance of about 1 in 1,000, for each of the six.
  for (const [name, past] of [
    ['with no earlier window', 0],
    ['with three', 3],
    ['with 25', 25],
  ] as const)
    it(`holds the truth of calibrated scores as often as it says, ${name}`, () => {
      const { held } = coverage(() => 0, 150, past, 11 + past);
      for (const statistic of ESTIMATED_STATISTICS)
        expect(held[statistic], statistic).toBeGreaterThanOrEqual(133);
    });

  it('widens where calibration wanders, so that it still does; chance alone would not', () => {
    const wander = (random: Random) => 0.4 * random.normal();
    const steady = coverage(() => 0, 100, 20, 5);
    const drifting = coverage(wander, 100, 20, 6);
    for (const statistic of ['log_loss', 'brier', 'base_rate'] as const) {
      expect(drifting.held[statistic], statistic).toBeGreaterThanOrEqual(86);
      expect(drifting.width[statistic] / steady.width[statistic], statistic).toBeGreaterThan(1.5);
    }
  });
});

describe('conformal width', () => {
  it('is the rank that is sure for any distribution, once there are enough', () => {
    const errors = Array.from({ length: 19 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i + 1));
    expect(conformalWidth(errors, 0.95)).toBe(19);
    expect(conformalWidth(errors, 0.9)).toBe(18);
    expect(conformalWidth([...errors, ...Array(20).fill(2.5)], 0.95)).toBe(18);
  });

  it('is wide with few, and never narrower than chance', () => {
    expect(conformalWidth([], 0.95)).toBeCloseTo(12.706, 3);
    expect(conformalWidth([1], 0.95)).toBeCloseTo(12.706, 3);
    expect(conformalWidth([0, 0, 0], 0.95)).toBeCloseTo(1.95996, 5);
    expect(conformalWidth(Array(40).fill(0.1), 0.95)).toBeCloseTo(1.95996, 5);
  });
});
