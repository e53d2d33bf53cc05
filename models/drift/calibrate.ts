/**
 * How large an effect must be, so that quiet windows raise no more alarms than the budget. Windows differ on quiet
 * days too: by hour, weekday and weather, far more than independent rows would, so no p value can say it; past ones
 * can.
 *
 * 1. An effect counts by the shift behind it: x = e, or its root for the PSI, which grows with the square of a shift. The
 *    quiet x_1..x_n of a feature have a mean and a coefficient of variation c; its square is drawn towards the median
 *    one of all features with the weight of PRIOR windows, since a few windows say little of it (as variances are by
 *    Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004).
 * 2. Each is set against the others alone: r_i = (x_i / mean - 1) / (c sqrt(1 + 1 / (n - 1))), mean and c without i.
 *    Left out, it is what a new window is: its residual has the distribution that r of the next quiet window will
 *    have.
 * 3. Residuals of all features make one sample. Above its quantile u = Q(1 - TAIL) it is taken for a generalised Pareto
 *    tail (peaks over a threshold: Pickands, Ann. Stat. 3, 1975): P(r > z) = TAIL (1 + k (z - u) / b)^(-1/k), fitted
 *    by the mean and the variance of the excesses (Hosking and Wallis, Technometrics 29, 1987), k not below 0 (an
 *    exponential tail).
 * 4. With m features and T ticks a month the expected number of false alarms is T m P(r > z), whatever the features have
 *    to do with each other, since expectations add. It is the budget B for z = u + b ((TAIL T m / B)^k - 1) / k.
 * 5. A feature's threshold is mean (1 + z c sqrt(1 + 1 / n)), or the declared least effect where that is larger.
 */

const PRIOR = 5;
const TAIL = 0.1;
/** Fewer quiet windows of a feature tell nothing. */
export const MIN_QUIET = 5;

export interface QuietFeature {
  readonly name: string;
  /** Effects on quiet windows, >= 0. */
  readonly effects: readonly number[];
}

export interface Budget {
  readonly falseAlarmsPerMonth: number;
  readonly ticksPerMonth: number;
  /** Effects below a hundredth of it are all the same. */
  readonly minEffect: number;
  /** The effect grows with the square of a shift, as the PSI does. */
  readonly squared: boolean;
}

export interface Threshold {
  /** What a quiet window reaches as seldom as the budget says; null where too few quiet windows are known. */
  readonly quiet: number | null;
  /** Typical effect of a quiet window; null where none is known. */
  readonly usual: number | null;
}

/** Thresholds of all features compared at a tick. @throws RangeError where the budget is none. */
export function quietThresholds(features: readonly QuietFeature[], budget: Budget): Map<string, Threshold> {
  const { falseAlarmsPerMonth, ticksPerMonth, minEffect, squared } = budget;
  if (!(falseAlarmsPerMonth > 0 && ticksPerMonth > 0))
    throw new RangeError('A budget of false alarms needs a number above 0, and so do the ticks of a month.');
  const floor = minEffect > 0 ? minEffect / 100 : 1e-6;
  const shiftOf = (effect: number) =>
    squared ? Math.sqrt(Math.max(floor, effect)) : Math.max(floor, effect);
  const samples = features.map(({ name, effects }) => ({ name, shifts: effects.map(shiftOf) }));
  const known = samples.filter(({ shifts }) => shifts.length >= MIN_QUIET);
  // A feature always at the floor says nothing of the others; if all are, that still leaves room for rounding.
  const variations = known.map(({ shifts }) => momentsOf(shifts).variation).filter((found) => found > 0);
  const prior = Math.max(1e-4, median(variations));
  const residuals = known.flatMap(({ shifts }) =>
    shifts.map((shift, i) => residual(shifts, i, shift, prior)),
  );
  const share = falseAlarmsPerMonth / (ticksPerMonth * Math.max(1, features.length));
  const reach = known.length === 0 ? 0 : upperPoint(residuals, share);
  return new Map<string, Threshold>(
    samples.map(({ name, shifts }) => {
      if (shifts.length < MIN_QUIET) return [name, { quiet: null, usual: null }];
      const { mean, spread } = spreadOf(shifts, prior);
      const quiet = mean * (1 + Math.max(0, reach) * spread);
      return [name, squared ? { quiet: quiet * quiet, usual: mean * mean } : { quiet, usual: mean }];
    }),
  );
}

function residual(shifts: readonly number[], i: number, shift: number, prior: number): number {
  const { mean, spread } = spreadOf(
    shifts.filter((_, j) => j !== i),
    prior,
  );
  return (shift / mean - 1) / spread;
}

/** Mean, and how far a new window lies from it, in means: deviation of a prediction. */
function spreadOf(shifts: readonly number[], prior: number) {
  const { mean, variation } = momentsOf(shifts);
  const degrees = shifts.length - 1;
  const shrunk = (degrees * variation + PRIOR * prior) / (degrees + PRIOR);
  return { mean, spread: Math.sqrt(shrunk * (1 + 1 / shifts.length)) };
}

/** Mean, and the square of the coefficient of variation. */
function momentsOf(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variation: squares / Math.max(1, values.length - 1) / (mean * mean) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** z with P(r > z) = share: of the sample itself up to TAIL, of its fitted tail beyond. */
function upperPoint(sample: readonly number[], share: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const at = (tail: number) =>
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((1 - tail) * sorted.length) - 1))] as number;
  if (share >= TAIL) return at(Math.min(1, share));
  const start = at(TAIL);
  const excesses = sorted.filter((value) => value > start).map((value) => value - start);
  if (excesses.length === 0) return start;
  const mean = excesses.reduce((sum, value) => sum + value, 0) / excesses.length;
  const variance =
    excesses.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, excesses.length - 1);
  const ratio = variance > 0 ? (mean * mean) / variance : 1;
  const shape = Math.max(0, (1 - ratio) / 2);
  const scale = shape > 0 ? (mean * (1 + ratio)) / 2 : mean;
  const rarity = TAIL / share;
  return start + scale * (shape > 1e-9 ? (rarity ** shape - 1) / shape : Math.log(rarity));
}
