/**
 * How large an effect must be, so that quiet windows raise no more alarms than the budget. Windows differ on quiet days too:
 * by hour, weekday and weather, far more than independent rows would, so no p value can say it; past quiet windows can.
 *
 * 1. Each feature's log effects x_1..x_n on quiet windows have a mean and a standard deviation s; the variance is drawn towards the
 *    median one of all features, with the weight of PRIOR windows, since a few windows say little of it (as in Smyth, Stat. Appl.
 *    Genet. Mol. Biol. 3, 2004).
 * 2. Each is set against the others alone: r_i = (x_i - mean without i) / (s without i * sqrt(1 + 1 / (n - 1))). Left out, it
 *    is what a new window is: its residual has the distribution that r of the next quiet window will have.
 * 3. Residuals of all features make one sample. Above its upper quantile u = Q(1 - TAIL) it is taken for exponential
 *    (peaks over a threshold: Pickands, Ann. Stat. 3, 1975; Davison and Smith, JRSS B 52, 1990; shape 0), with the mean
 *    excess b: P(r > z) = TAIL exp(-(z - u) / b). In logarithms that is a Pareto tail of the effect itself: rather too heavy than too light.
 * 4. With m features and T ticks a month the expected number of false alarms is T m P(r > z), whatever the features have to do with
 *    each other, since expectations add. It is the budget B for z = u + b ln(TAIL T m / B).
 * 5. A feature's threshold is exp(mean + z s sqrt(1 + 1 / n)), or the declared least effect where that is larger.
 */

const PRIOR = 5;
const TAIL = 0.1;
/** Fewer quiet windows of a feature tell nothing. */
export const MIN_QUIET = 5;

export interface QuietFeature {
  readonly name: string;
  /** Effects on quiet windows. */
  readonly effects: readonly number[];
}

export interface Budget {
  readonly falseAlarmsPerMonth: number;
  readonly ticksPerMonth: number;
  /** Effects below a thousandth of it are all the same. */
  readonly minEffect: number;
}

export interface Threshold {
  /** What a quiet window reaches as seldom as the budget says; null where too few quiet windows are known. */
  readonly quiet: number | null;
  /** Typical effect of a quiet window (geometric mean); null where none is known. */
  readonly usual: number | null;
}

/** Thresholds of all features compared at a tick. @throws RangeError where the budget is none. */
export function quietThresholds(features: readonly QuietFeature[], budget: Budget): Map<string, Threshold> {
  const { falseAlarmsPerMonth, ticksPerMonth, minEffect } = budget;
  if (!(falseAlarmsPerMonth > 0 && ticksPerMonth > 0))
    throw new RangeError('A budget of false alarms needs a number above 0, and so do the ticks of a month.');
  const floor = minEffect > 0 ? minEffect / 1_000 : 1e-6;
  const samples = features.map(({ name, effects }) => ({
    name,
    logs: effects.map((effect) => Math.log(Math.max(floor, effect))),
  }));
  const known = samples.filter(({ logs }) => logs.length >= MIN_QUIET);
  // A feature always at the floor says nothing of the others; if all are, that still leaves room for rounding.
  const variances = known.map(({ logs }) => momentsOf(logs).variance).filter((variance) => variance > 0);
  const prior = Math.max(1e-4, median(variances));
  const residuals = known.flatMap(({ logs }) => logs.map((log, i) => residual(logs, i, log, prior)));
  const share = falseAlarmsPerMonth / (ticksPerMonth * Math.max(1, features.length));
  const reach = known.length === 0 ? 0 : upperPoint(residuals, share);
  return new Map<string, Threshold>(
    samples.map(({ name, logs }) => {
      if (logs.length < MIN_QUIET) return [name, { quiet: null, usual: null }];
      const { mean, spread } = spreadOf(logs, prior);
      return [name, { quiet: Math.exp(mean + reach * spread), usual: Math.exp(mean) }];
    }),
  );
}

function residual(logs: readonly number[], i: number, log: number, prior: number): number {
  const { mean, spread } = spreadOf(
    logs.filter((_, j) => j !== i),
    prior,
  );
  return (log - mean) / spread;
}

/** Mean, and how far a new window lies from it: standard deviation of a prediction. */
function spreadOf(logs: readonly number[], prior: number) {
  const { mean, variance } = momentsOf(logs);
  const degrees = logs.length - 1;
  const shrunk = (degrees * variance + PRIOR * prior) / (degrees + PRIOR);
  return { mean, spread: Math.sqrt(shrunk * (1 + 1 / logs.length)) };
}

function momentsOf(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variance: squares / Math.max(1, values.length - 1) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** z with P(r > z) = share: of the sample itself up to TAIL, of its exponential tail beyond. */
function upperPoint(sample: readonly number[], share: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const at = (tail: number) =>
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((1 - tail) * sorted.length) - 1))] as number;
  if (share >= TAIL) return at(Math.min(1, share));
  const start = at(TAIL);
  const beyond = sorted.filter((value) => value > start);
  const excess = beyond.reduce((sum, value) => sum + value - start, 0) / Math.max(1, beyond.length);
  return start + excess * Math.log(TAIL / share);
}
