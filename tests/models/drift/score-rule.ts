import { gammaQ } from '../../../models/drift/special.ts';

/** How good a rule was where the truth is known, beside two that anybody can have: alert on everything, on nothing. */

/** One tick of a history. */
export interface JudgedTick {
  /** Every feature that could have fired. */
  readonly compared: readonly string[];
  readonly fired: readonly string[];
  /** Features that had really changed at this tick. */
  readonly drifted: readonly string[];
}

export interface RuleScore {
  /** Features fired, over all ticks. */
  readonly alarms: number;
  readonly falseAlarms: number;
  /** Ticks with at least one false alarm. */
  readonly falseTicks: number;
  readonly falseAlarmsPerMonth: number;
  /** True alarms of all; null where there was none. */
  readonly precision: number | null;
  /** Stretches of ticks through which a feature stayed changed, and how many of them were found before they ended. */
  readonly drifts: number;
  readonly found: number;
  /** Ticks from the first one changed to the first alarm, mean over what was found; null where nothing was. */
  readonly meanDelayTicks: number | null;
}

export interface RuleScores {
  readonly rule: RuleScore;
  readonly always: RuleScore;
  readonly never: RuleScore;
}

export function scoreDriftRule(history: readonly JudgedTick[], ticksPerMonth: number): RuleScores {
  const score = (fires: (tick: JudgedTick) => readonly string[]) => scoreOf(history, fires, ticksPerMonth);
  return {
    rule: score(({ fired }) => fired),
    always: score(({ compared }) => compared),
    never: score(() => []),
  };
}

function scoreOf(
  history: readonly JudgedTick[],
  fires: (tick: JudgedTick) => readonly string[],
  ticksPerMonth: number,
): RuleScore {
  let [alarms, falseAlarms, falseTicks] = [0, 0, 0];
  const delays: number[] = [];
  let drifts = 0;
  /** Features that are changed now: ticks since they are, null once found. */
  const open = new Map<string, number | null>();
  for (const tick of history) {
    const drifted = new Set(tick.drifted);
    const fired = new Set(fires(tick));
    const wrong = [...fired].filter((name) => !drifted.has(name)).length;
    alarms += fired.size;
    falseAlarms += wrong;
    falseTicks += wrong > 0 ? 1 : 0;
    for (const name of open.keys()) if (!drifted.has(name)) open.delete(name);
    for (const name of drifted) {
      if (!open.has(name)) drifts++;
      const waited = open.has(name) ? (open.get(name) ?? null) : 0;
      if (waited === null) continue;
      if (fired.has(name)) delays.push(waited);
      open.set(name, fired.has(name) ? null : waited + 1);
    }
  }
  return {
    alarms,
    falseAlarms,
    falseTicks,
    falseAlarmsPerMonth: history.length === 0 ? 0 : (falseAlarms * ticksPerMonth) / history.length,
    precision: alarms === 0 ? null : (alarms - falseAlarms) / alarms,
    drifts,
    found: delays.length,
    meanDelayTicks:
      delays.length === 0 ? null : delays.reduce((sum, delay) => sum + delay, 0) / delays.length,
  };
}

/** The most events that a Poisson mean explains: the least k with P(X <= k) >= level. */
export function poissonBound(mean: number, level = 0.95): number {
  if (!(mean >= 0 && level > 0 && level < 1))
    throw new RangeError('A Poisson bound needs a mean >= 0 and a level between 0 and 1.');
  let k = 0;
  while (mean > 0 && gammaQ(k + 1, mean) < level) k++;
  return k;
}
