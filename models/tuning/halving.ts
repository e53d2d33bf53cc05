/**
 * Asynchronous successive halving (ASHA): Li, Jamieson, Rostamizadeh and others, "A system for massively parallel
 * hyperparameter tuning", MLSys 2020, algorithm 2. Every trial starts with a small share of the epochs; whoever has a free
 * hand gives eta times as many to a trial among the best 1 / eta of its rung, or where there is none starts the next one.
 *
 * With one hand the order of all that is done, and so its outcome, is a function of the losses alone. With several, which
 * trials there are is the same, but which are promoted depends on who ends first.
 */
import type { SearchSpace } from '../../schemas/search.ts';

export interface TrialJob {
  /** From 0. */
  readonly trial: number;
  /** From 0. */
  readonly rung: number;
  /** Of the declared epochs (rounds). */
  readonly share: number;
}

export interface TrialResult {
  readonly trial: number;
  readonly rung: number;
  /** Validation log loss; NaN: it failed, and comes after all others. */
  readonly loss: number;
}

export interface Halving {
  /** Shares of the epochs, by rung; the last is 1. */
  readonly shares: readonly number[];
  /** What a free hand does next; null: nothing now (there is nothing left, or it has to wait for others). */
  next(): TrialJob | null;
  /** @throws RangeError for a job that was not given out. */
  tell(result: TrialResult): void;
  /** The best so far: of the highest rung that any trial came through, as losses of different rungs do not compare. */
  best(): TrialResult | null;
  results(): readonly TrialResult[];
}

/** Shares of the rungs: 1 at the top, each below it a part eta of the one above, the lowest at least minShare. */
export function sharesOf({ eta, minShare }: Pick<SearchSpace, 'eta' | 'minShare'>): readonly number[] {
  const shares = [1];
  // Rounding must not take a rung away that lies just at minShare.
  for (let share = 1 / eta; share >= minShare * (1 - 1e-9); share /= eta) shares.unshift(share);
  return shares;
}

const before = (a: TrialResult, b: TrialResult): number =>
  (Number.isNaN(a.loss) ? 1 : 0) - (Number.isNaN(b.loss) ? 1 : 0) || a.loss - b.loss || a.trial - b.trial;

export function createHalving(space: Pick<SearchSpace, 'trials' | 'eta' | 'minShare'>): Halving {
  const shares = sharesOf(space);
  const rungs = shares.map(() => ({
    done: [] as TrialResult[],
    promoted: new Set<number>(),
  }));
  const out = new Set<string>();
  let started = 0;
  const key = ({ trial, rung }: { trial: number; rung: number }) => `${trial}/${rung}`;

  function give(trial: number, rung: number): TrialJob {
    const job = { trial, rung, share: shares[rung] ?? 1 };
    out.add(key(job));
    return job;
  }

  /** Few trials may leave the upper rungs empty: the best so far goes on until it has had all its epochs. */
  function carryOn(): TrialJob | null {
    for (let rung = rungs.length - 1; rung >= 0; rung -= 1) {
      const { done, promoted } = rungs[rung] as (typeof rungs)[number];
      const [first] = [...done].sort(before);
      if (first === undefined || Number.isNaN(first.loss)) continue;
      if (rung === rungs.length - 1 || promoted.has(first.trial)) return null;
      promoted.add(first.trial);
      return give(first.trial, rung + 1);
    }
    return null;
  }

  return {
    shares,
    next() {
      // From the top: a trial near its end is worth more than a new one.
      for (let rung = rungs.length - 2; rung >= 0; rung -= 1) {
        const { done, promoted } = rungs[rung] as (typeof rungs)[number];
        const ranked = [...done].sort(before).slice(0, Math.floor(done.length / space.eta));
        const chosen = ranked.find(({ trial, loss }) => !promoted.has(trial) && !Number.isNaN(loss));
        if (chosen === undefined) continue;
        promoted.add(chosen.trial);
        return give(chosen.trial, rung + 1);
      }
      if (started < space.trials) {
        started += 1;
        return give(started - 1, 0);
      }
      return out.size === 0 ? carryOn() : null;
    },
    tell(result) {
      if (!out.delete(key(result)))
        throw new RangeError(`Trial ${result.trial} was not given out for rung ${result.rung}.`);
      rungs[result.rung]?.done.push(result);
    },
    best() {
      for (const { done } of [...rungs].reverse()) {
        const [first] = [...done].sort(before);
        if (first !== undefined && !Number.isNaN(first.loss)) return first;
      }
      return null;
    },
    results: () => rungs.flatMap(({ done }) => done),
  };
}
