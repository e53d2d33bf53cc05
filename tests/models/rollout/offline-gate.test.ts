import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Estimate } from '../../../models/quality/types.ts';
import { createRandom } from '../../../models/random.ts';
import {
  judgeOffline,
  type OfflineGateRows,
  type OfflineGateRules,
} from '../../../models/rollout/offline-gate.ts';

const DAY = 86_400_000;
const rules: OfflineGateRules = {
  maxLoss: 0,
  sliceTolerance: 0.01,
  minRows: 1_000,
  maxCalibrationError: 0.05,
};

/** @param candidate @param champion spread of the noise through which each sees the truth; `mood`: of a day's labels. */
function rows(
  count: number,
  { candidate = 0.3, champion = 0.6, days = 30, seed = 1, mood = 0, offset = 0, atB = 0 } = {},
): OfflineGateRows & { slices: Record<string, string[]> } {
  const random = createRandom(seed);
  const made = {
    labels: new Uint8Array(count),
    candidate: new Float64Array(count),
    champion: new Float64Array(count),
    times: new Float64Array(count),
    slices: { origin: new Array<string>(count) },
  };
  let [day, bias] = [-1, 0];
  for (let i = 0; i < count; i++) {
    const today = Math.floor((i * days) / count);
    if (today !== day) [day, bias] = [today, mood * random.normal()];
    const logit = -1.5 + 1.5 * random.normal();
    const place = 'abc'[i % 3] ?? 'a';
    made.times[i] = (i * days * DAY) / count;
    made.slices.origin[i] = place;
    made.labels[i] = random.next() < 1 / (1 + Math.exp(-logit - bias)) ? 1 : 0;
    made.candidate[i] =
      1 / (1 + Math.exp(-logit - offset - candidate * random.normal() - (place === 'b' ? atB : 0)));
    made.champion[i] = 1 / (1 + Math.exp(-logit - champion * random.normal()));
  }
  return made;
}

describe('the offline gate', () => {
  it('passes what is better, with its difference and interval', () => {
    const verdict = judgeOffline(rows(20_000), rules);
    expect(verdict.objections).toEqual([]);
    expect(verdict).toMatchObject({ pass: true, rows: 20_000, drawn: 'days' });
    expect(verdict.difference?.high ?? 1).toBeLessThan(0);
    expect(verdict.difference?.value).toBeCloseTo(
      (verdict.candidateLoss ?? 0) - (verdict.championLoss ?? 0),
      12,
    );
    expect(verdict.sentence).toMatch(
      /^Passed: log loss against the champion -0\.0\d+ \[.*none of 3 slices worse/,
    );
  });

  it('fails what is worse, and what may be', () => {
    const worse = judgeOffline(rows(20_000, { candidate: 0.6, champion: 0.3 }), {
      ...rules,
      sliceTolerance: 0.1,
    });
    expect(worse.objections.map(({ code }) => code)).toEqual(['worse']);
    expect(worse.sentence).toMatch(/^Failed: the log loss may be worse by 0\.\d+/);
    expect(judgeOffline(rows(20_000, { candidate: 0.5, champion: 0.5 }), rules).pass).toBe(false);
    // Declared to be borne.
    expect(
      judgeOffline(rows(20_000, { candidate: 0.5, champion: 0.5 }), { ...rules, maxLoss: 0.02 }).pass,
    ).toBe(true);
  });

  it('names the slice that got worse while the whole got better', () => {
    const verdict = judgeOffline(rows(30_000, { champion: 1.5, atB: 1.6 }), {
      ...rules,
      maxCalibrationError: 0.5,
    });
    expect(verdict.difference?.high ?? 1).toBeLessThan(0);
    expect(verdict.objections.map(({ code }) => code)).toEqual(['worse_in_slice']);
    expect(verdict.slices[0]?.slice).toBe('origin=b');
    expect(verdict.sentence).toContain('in origin=b the log loss is worse by');
  });

  it('objects to few rows, to bad calibration and to no rows at all, each in a sentence', () => {
    expect(
      judgeOffline(rows(500), { ...rules, maxLoss: 1, maxCalibrationError: 1 }).objections.map(
        ({ code }) => code,
      ),
    ).toEqual(['too_few_rows']);
    const off = rows(5_000);
    const lying = { ...off, candidate: off.candidate.map((score) => score / 2) };
    expect(judgeOffline(lying, { ...rules, maxLoss: 1, sliceTolerance: 1 }).sentence).toMatch(
      /^Failed: the calibration error is 0\.1\d+, above 0\.0500\.$/,
    );
    const none = judgeOffline(
      { labels: new Uint8Array(0), candidate: new Float64Array(0), champion: new Float64Array(0) },
      { ...rules, minRows: 0 },
    );
    expect(none).toMatchObject({ pass: false, difference: null, calibrationError: null });
    expect(none.sentence).toBe('Failed: 0 rows are too few to judge on; 1 are asked for.');
  });

  it('holds a first candidate against its own calibration alone', () => {
    const first = judgeOffline({ ...rows(5_000, { candidate: 0.05 }), champion: null }, rules);
    expect(first).toMatchObject({ pass: true, difference: null, championLoss: null, slices: [] });
    expect(first.sentence).toContain('there is no champion to beat');
  });

  it('gives a candidate that is the champion a difference of nothing', () => {
    const made = rows(3_000);
    const verdict = judgeOffline({ ...made, candidate: made.champion ?? new Float64Array(0) }, rules);
    expect(verdict.difference).toEqual({ value: 0, low: 0, high: 0, reason: null });
    expect(verdict.pass).toBe(true);
  });

  // A candidate that says more than the champion wins whole days and loses whole days: rows drawn one by one would give an interval far too narrow.
  it('draws whole days, so that the interval holds the truth where days err together', () => {
    const found = { days: [] as (Estimate | null)[], rows: [] as (Estimate | null)[] };
    for (let seed = 0; seed < 120; seed++) {
      const made = rows(6_000, { candidate: 0.5, champion: 0.5, mood: 0.5, offset: 0.6, seed: 300 + seed });
      found.days.push(judgeOffline(made, rules).difference);
      const order = Uint32Array.from(made.labels, (_, i) => i);
      createRandom(seed).shuffle(order);
      const shuffled = {
        labels: Uint8Array.from(order, (i) => made.labels[i] ?? 0),
        candidate: Float64Array.from(order, (i) => made.candidate[i] ?? 0),
        champion: Float64Array.from(order, (i) => made.champion?.[i] ?? 0),
      };
      found.rows.push(judgeOffline(shuffled, rules).difference);
    }
    const truth = found.days.reduce((sum, one) => sum + (one?.value ?? 0), 0) / 120;
    const held = (all: readonly (Estimate | null)[]) =>
      all.filter((one) => (one?.low ?? 1) <= truth && truth <= (one?.high ?? -1)).length;
    // Of 120 at a true 95 %: 104 or fewer has a chance of about 1 in 1,000.
    expect(held(found.days)).toBeGreaterThan(104);
    expect(held(found.rows)).toBeLessThan(held(found.days) - 8);
  });

  it('law: the same bits for the same seed; swapping the two turns the difference over', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (seed) => {
        const made = rows(600, { seed, days: 12 });
        const asked = { ...rules, minRows: 1, seed };
        const once = judgeOffline(made, asked);
        expect(judgeOffline(made, asked)).toEqual(once);
        const turned = judgeOffline(
          { ...made, candidate: made.champion ?? made.candidate, champion: made.candidate },
          asked,
        );
        expect(turned.difference?.value).toBeCloseTo(-(once.difference?.value ?? 0), 12);
        expect(turned.difference?.low).toBeCloseTo(-(once.difference?.high ?? 0), 9);
      }),
      { numRuns: 20 },
    );
  });

  it('refuses what does not fit together', () => {
    const made = rows(100);
    expect(() => judgeOffline({ ...made, champion: new Float64Array(3) }, rules)).toThrow(
      '100 labels, but 3',
    );
    expect(() => judgeOffline({ ...made, slices: { origin: ['a'] } }, rules)).toThrow('value of origin');
  });
});
