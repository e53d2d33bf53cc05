import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../models/random.ts';
import {
  type GuardRows,
  guardVerdict,
  NO_LABEL,
  observeGuard,
  startGuard,
} from '../../../models/rollout/guard.ts';
import type { GuardRules } from '../../../models/rollout/guard-types.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const rules: GuardRules = { tolerance: 0.002, alpha: 0.05, duration: 14 * DAY, block: 6 * HOUR };

interface Made {
  readonly days: number;
  readonly seed?: number;
  /** Added to the champion's logit. */
  readonly champion?: number;
  /** Added to both. */
  readonly both?: number;
  /** Share of requests that it refuses, and that both refuse. */
  readonly refused?: number;
  readonly outage?: number;
}

function requests({ days, seed = 1, champion = 0, both = 0, refused = 0, outage = 0 }: Made): GuardRows {
  const perDay = 3_000;
  const random = createRandom(seed);
  const rows = days * perDay;
  const made: GuardRows = {
    times: new Float64Array(rows),
    champion: new Float64Array(rows),
    previous: new Float64Array(rows),
    labels: new Uint8Array(rows),
  };
  for (let i = 0; i < rows; i++) {
    const logit = -1.5 + 1.5 * random.normal();
    const chance = 1 / (1 + Math.exp(-logit));
    const score = (shift: number) => 1 / (1 + Math.exp(-logit - shift - 0.2 * random.normal()));
    const down = random.next() < outage;
    made.times[i] = Math.floor((i * DAY) / perDay);
    made.labels[i] = random.next() < 0.1 ? NO_LABEL : random.next() < chance ? 1 : 0;
    made.champion[i] = random.next() < refused || down ? Number.NaN : score(champion + both);
    made.previous[i] = down ? Number.NaN : score(both);
  }
  return made;
}

function part(rows: GuardRows, from: number, to: number): GuardRows {
  return {
    times: rows.times.slice(from, to),
    champion: rows.champion.slice(from, to),
    previous: rows.previous.slice(from, to),
    labels: rows.labels.slice(from, to),
  };
}

const judge = (made: Made, asked = rules) =>
  guardVerdict(observeGuard(startGuard(asked, 0), requests(made), made.days * DAY));

describe('the guard after a promotion', () => {
  it('keeps a champion that is as good, once its time is up', () => {
    const watching = judge({ days: 6 });
    expect(watching).toMatchObject({ decision: 'watch', decidedAt: null });
    const kept = judge({ days: 14 });
    expect(kept).toMatchObject({ decision: 'keep', code: 'time_limit', decidedAt: 14 * DAY });
    expect(kept.sentence).toContain('nothing speaks against the new champion');
    expect(kept.requests).toBeGreaterThan(41_000);
  });

  it('rolls back one that is worse, and says by how much', () => {
    const verdict = judge({ days: 10, champion: 1 });
    expect(verdict).toMatchObject({ decision: 'rollback', code: 'worse' });
    expect(verdict.loss.low ?? 0).toBeGreaterThan(rules.tolerance);
    expect(verdict.evidence.worse).toBeGreaterThanOrEqual(20);
    expect(verdict.decidedAt ?? 99 * DAY).toBeLessThanOrEqual(5 * DAY);
    expect(verdict.sentence).toContain('than the 0.0020 that is allowed');
  });

  it('bears what is declared to be borne', () => {
    expect(judge({ days: 14, champion: 0.3 }, { ...rules, tolerance: 0.05 }).decision).toBe('keep');
  });

  it('rolls back one that answers nothing within hours, with no label at all', () => {
    const verdict = judge({ days: 1, refused: 1 });
    expect(verdict).toMatchObject({ decision: 'rollback', code: 'refusing', rows: 0 });
    expect(verdict.decidedAt ?? DAY).toBeLessThan(8 * HOUR);
    expect(verdict.sentence).toContain('refused 100 % of');
  });

  it('does not blame the new champion for what both refuse', () => {
    expect(judge({ days: 14, outage: 0.4 }).decision).toBe('keep');
    expect(judge({ days: 14, refused: 0.1 }).code).toBe('refusing');
  });

  it('rolls back when its scores lie, however much log loss is borne', () => {
    const patient = { ...rules, tolerance: 1 };
    const verdict = judge({ days: 14, champion: 0.9 }, patient);
    expect(verdict).toMatchObject({ decision: 'rollback', code: 'badly_calibrated' });
    expect(verdict.bias.champion ?? 0).toBeGreaterThan(0.05);
    expect(Math.abs(verdict.bias.previous ?? 1)).toBeLessThan(0.03);
    expect(verdict.sentence).toMatch(/mean score lies 0\.\d+ above the rate over .* 0\.0500 more is allowed/);
    expect(judge({ days: 14, champion: -1.4 }, patient).sentence).toMatch(/lies 0\.\d+ below the rate/);
  });

  // Going back to the version before would mend nothing.
  it('does not blame the new champion where both lie as much', () => {
    expect(judge({ days: 14, both: 0.9 }).decision).toBe('keep');
    expect(judge({ days: 14, both: -1.4 }).decision).toBe('keep');
  });

  it('keeps its claim: of 200 good champions at most 18 are rolled back', () => {
    let rolledBack = 0;
    for (let seed = 0; seed < 200; seed++)
      if (judge({ days: 6, seed }, { ...rules, duration: 6 * DAY, tolerance: 0 }).decision === 'rollback')
        rolledBack++;
    expect(rolledBack).toBeLessThanOrEqual(18);
  });

  it('says so where no label came', () => {
    const rows = requests({ days: 14 });
    const verdict = guardVerdict(
      observeGuard(startGuard(rules, 0), { ...rows, labels: rows.labels.fill(NO_LABEL) }, 14 * DAY),
    );
    expect(verdict).toMatchObject({ decision: 'keep', rows: 0, bias: { champion: null, previous: null } });
    expect(verdict.loss.reason).toBe('no_rows');
    expect(verdict.sentence).toContain('no block of requests with labels');
  });

  it('law: the same bits however rows are cut into calls, and through JSON', () => {
    const rows = requests({ days: 4, champion: 0.6, refused: 0.02 });
    const whole = observeGuard(startGuard(rules, 0), rows, 4 * DAY);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: rows.times.length - 1 }), { maxLength: 10 }),
        (cuts) => {
          let state = startGuard(rules, 0);
          const ends = [...cuts.sort((a, b) => a - b), rows.times.length];
          ends.forEach((to, at) => {
            const complete = rows.times[to] ?? 4 * DAY;
            state = observeGuard(
              JSON.parse(JSON.stringify(state)),
              part(rows, ends[at - 1] ?? 0, to),
              complete,
            );
          });
          expect(JSON.stringify(state)).toBe(JSON.stringify(whole));
        },
      ),
      { numRuns: 25 },
    );
  });
});
