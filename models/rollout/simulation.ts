/**
 * Simulated shadows, to see what the sequential test keeps of its promises. A world with a base rate of .2 has a logit for
 * each request and a mood for each day that no model knows. Champion and challenger see that logit through noise of their
 * own, each with a bias that changes from day to day: so their losses differ by heavy-tailed amounts, and the differences of
 * one day err together. With equal noise neither is better (A/A); the champion's is made larger until the challenger
 * gains what is asked.
 */
import { createRandom, type Random } from '../random.ts';
import { lossNano, NANO } from './loss.ts';
import {
  observeShadow,
  type PairedRows,
  type ShadowRules,
  type ShadowVerdict,
  shadowVerdict,
  startShadow,
} from './sequential.ts';

const DAY_MS = 86_400_000;
/** Mean and spread of the logit: a base rate of .2, an AUC of about .85 for who knows it. */
const CENTRE = -1.95;
const SPREAD = 1.6;
/** Spread of the mood of a day, in logits. */
const MOOD = 0.3;
/** Spread of the noise through which a model sees the logit. */
const NOISE = 0.5;

export interface World {
  readonly days: number;
  readonly requestsPerDay: number;
  /** Challenger's gain in mean log loss, nats a request; 0 = A/A. */
  readonly gain: number;
  /** Spread of each model's own bias of a day, in logits; 0: days do not make differences err together. */
  readonly dayBias: number;
}

export interface Experiment {
  readonly seed: number;
  readonly verdict: ShadowVerdict;
}

/** One shadow from its first request to its decision, looked at after each day. Pure: the seed is all its chance. */
export function simulateShadow(
  world: World,
  rules: ShadowRules,
  championNoise: number,
  seed: number,
): Experiment {
  const random = createRandom(seed);
  let state = startShadow(rules, 0);
  for (let day = 0; day < world.days && state.decided === null; day++) {
    state = observeShadow(state, dayOfRows(world, championNoise, day, random), (day + 1) * DAY_MS);
  }
  if (state.decided === null) state = observeShadow(state, NO_ROWS, rules.maxDuration);
  return { seed, verdict: shadowVerdict(state) };
}

const NO_ROWS: PairedRows = {
  times: new Float64Array(0),
  labels: new Uint8Array(0),
  champion: new Float64Array(0),
  challenger: new Float64Array(0),
};

function dayOfRows(world: World, championNoise: number, day: number, random: Random): PairedRows {
  const rows = world.requestsPerDay;
  const [times, labels] = [new Float64Array(rows), new Uint8Array(rows)];
  const [champion, challenger] = [new Float64Array(rows), new Float64Array(rows)];
  const mood = MOOD * random.normal();
  const championBias = world.dayBias * random.normal();
  const challengerBias = world.dayBias * random.normal();
  for (let i = 0; i < rows; i++) {
    const logit = CENTRE + SPREAD * random.normal();
    times[i] = day * DAY_MS + Math.floor((i * DAY_MS) / rows);
    labels[i] = random.next() < sigmoid(logit + mood) ? 1 : 0;
    champion[i] = sigmoid(logit + championBias + championNoise * random.normal());
    challenger[i] = sigmoid(logit + challengerBias + NOISE * random.normal());
  }
  return { times, labels, champion, challenger };
}

/** Spread of the champion's noise at which the challenger gains `gain` on the average; by bisection over fixed rows. */
export function noiseOfGain(gain: number): number {
  if (gain === 0) return NOISE;
  const random = createRandom(20010401);
  const rows = Array.from({ length: 40_000 }, () => {
    const logit = CENTRE + SPREAD * random.normal();
    return { logit, chance: sigmoid(logit + MOOD * random.normal()), noise: random.normal() };
  });
  const lossAt = (spread: number): number => {
    let sum = 0;
    for (const { logit, chance, noise } of rows) {
      // A noise and its mirror image, so that what is compared is the spread, not this draw's mean.
      for (const side of [noise, -noise]) {
        const score = sigmoid(logit + spread * side);
        sum += (chance * lossNano(score, 1) + (1 - chance) * lossNano(score, 0)) / 2;
      }
    }
    return (sum * NANO) / rows.length;
  };
  const aim = lossAt(NOISE) + gain;
  let [low, high] = [NOISE, 8];
  if (lossAt(high) < aim)
    throw new RangeError(`No champion is worse by ${gain} in this world: ask for less.`);
  for (let round = 0; round < 40; round++) {
    const middle = (low + high) / 2;
    if (lossAt(middle) < aim) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

export interface Middle {
  readonly median: number;
  readonly p90: number;
}

export interface Outcomes {
  readonly experiments: number;
  readonly promoted: number;
  readonly worse: number;
  readonly tooSmall: number;
  readonly timeLimit: number;
  /** Requests until promotion, of those that were promoted; null where none was. */
  readonly requests: Middle | null;
  /** Days of event time until then. */
  readonly days: Middle | null;
}

export function outcomesOf(experiments: readonly Experiment[]): Outcomes {
  const decided = (code: ShadowVerdict['code']) => experiments.filter(({ verdict }) => verdict.code === code);
  const seen = decided('better');
  return {
    experiments: experiments.length,
    promoted: seen.length,
    worse: decided('worse').length,
    tooSmall: decided('too_small').length,
    timeLimit: decided('time_limit').length,
    requests: middleOf(seen.map(({ verdict }) => verdict.rows)),
    days: middleOf(seen.map(({ verdict }) => (verdict.decidedAt ?? 0) / DAY_MS)),
  };
}

/** By nearest rank. */
function middleOf(values: readonly number[]): Middle | null {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return sorted.length === 0 ? null : { median: at(0.5), p90: at(0.9) };
}

/** Most of `experiments` that may be wrong before it is no chance any more: more has a probability of at most 1 % at `alpha`. */
export function mostByChance(experiments: number, alpha: number): number {
  let term = (1 - alpha) ** experiments;
  let below = term;
  let count = 0;
  while (count < experiments && 1 - below > 0.01) {
    term *= ((experiments - count) / (count + 1)) * (alpha / (1 - alpha));
    below += term;
    count++;
  }
  return count;
}
