import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createHalving, sharesOf, type TrialJob } from '../../../models/tuning/halving.ts';

const space = (trials: number, eta = 3, minShare = 0.1) => ({ trials, eta, minShare });

/** One hand: what is done, in order. */
function alone(rules: ReturnType<typeof space>, lossOf: (job: TrialJob) => number) {
  const halving = createHalving(rules);
  const order: TrialJob[] = [];
  for (let job = halving.next(); job !== null; job = halving.next()) {
    order.push(job);
    halving.tell({ ...job, loss: lossOf(job) });
  }
  return { halving, order };
}

describe('successive halving', () => {
  it('has rungs of eta times the epochs, the last of them all', () => {
    expect(sharesOf({ eta: 3, minShare: 0.1 })).toEqual([1 / 9, 1 / 3, 1]);
    expect(sharesOf({ eta: 2, minShare: 0.25 })).toEqual([0.25, 0.5, 1]);
    expect(sharesOf({ eta: 3, minShare: 1 })).toEqual([1]);
  });

  it('finds the best of the trials where losses keep their order from rung to rung', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1_000), { minLength: 9, maxLength: 40 }),
        fc.integer({ min: 2, max: 4 }),
        (losses, eta) => {
          const { halving, order } = alone(space(losses.length, eta, 0.2), ({ trial }) => losses[trial] ?? 1);
          const best = halving.best();
          expect(order.filter(({ rung }) => rung === 0)).toHaveLength(losses.length);
          // Whoever is best of all is among the best of its rung whenever it is looked at.
          expect(losses[best?.trial ?? -1]).toBe(Math.min(...losses));
          expect(halving.shares[best?.rung ?? -1], 'and it had all its epochs').toBe(1);
          expect(order.length, 'trials that get ever better are all promoted').toBeLessThanOrEqual(
            losses.length * halving.shares.length,
          );
        },
      ),
    );
  });

  it('gives out no job twice, and a rung only to who came through the one below among its best', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.tuple(fc.nat(4), fc.double({ min: 0, max: 1, noNaN: true })), { maxLength: 200 }),
        (trials, hands, course) => {
          const halving = createHalving(space(trials));
          const out: TrialJob[] = [];
          const given = new Set<string>();
          const told = new Map<string, number>();
          const fill = () => {
            while (out.length < hands) {
              const job = halving.next();
              if (job === null) break;
              const key = `${job.trial}/${job.rung}`;
              expect(given.has(key)).toBe(false);
              given.add(key);
              if (job.rung > 0) expect(told.has(`${job.trial}/${job.rung - 1}`)).toBe(true);
              expect(job.share).toBe(halving.shares[job.rung]);
              out.push(job);
            }
          };
          for (const [pick, loss] of course) {
            fill();
            const [job] = out.splice(pick % Math.max(1, out.length), 1);
            if (job === undefined) break;
            told.set(`${job.trial}/${job.rung}`, loss);
            halving.tell({ ...job, loss });
          }
        },
      ),
    );
  });

  it('does the same again for the same losses', () => {
    const lossOf = ({ trial, rung }: TrialJob) => ((trial * 7919 + rung * 31) % 100) / 100;
    expect(alone(space(20), lossOf).order).toEqual(alone(space(20), lossOf).order);
  });

  it('lets a failed trial go, and has no best where all failed', () => {
    const { halving } = alone(space(9), ({ trial }) => (trial === 4 ? 0.5 : Number.NaN));
    expect(halving.best()?.trial).toBe(4);
    expect(alone(space(5), () => Number.NaN).halving.best()).toBeNull();
    expect(() => halving.tell({ trial: 99, rung: 0, loss: 1 })).toThrow(/was not given out/);
  });
});
