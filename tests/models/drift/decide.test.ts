import { describe, expect, it } from 'vitest';
import { MIN_QUIET, quietThresholds } from '../../../models/drift/calibrate.ts';
import { driftOf, nothing } from '../../../models/drift/compare.ts';
import { decideDrift } from '../../../models/drift/decide.ts';
import { effectOf, quietOf } from '../../../models/drift/effect.ts';
import { referenceOf, summariseNumbers, summariseWords } from '../../../models/drift/summary.ts';
import type { DriftRule, ReferenceSummary, WindowSummary } from '../../../models/drift/types.ts';
import { createRandom, type Random } from '../../../models/random.ts';
import { DRIFT_STATISTICS, type DriftStatistic } from '../../../schemas/monitoring.ts';
import { learnBinning, learnCategories } from './samples.ts';
import { type JudgedTick, poissonBound, scoreDriftRule } from './score-rule.ts';

/**
 * A made-up airport: days differ by themselves (`mood`), so that no two quiet days have the same distributions, and
 * with 600 rows a day every test of significance says so.
 */
const FEATURES: Readonly<Record<string, (random: Random, mood: number) => number>> = {
  delay_1h: (random, mood) => Math.exp(2 + 0.3 * mood + random.normal()),
  delay_7d: (random, mood) => 10 + 0.1 * mood + random.normal(),
  late_1h: (random, mood) =>
    random.next() < 0.4 ? 0 : Math.min(1, Math.abs(random.normal() + 0.2 * mood) / 3),
  flights_1h: (random, mood) => Math.floor(20 + 2 * mood + 5 * random.normal()),
  distance: (random) => [180, 300, 740, 1200, 2500][Math.floor(random.next() * 5)] ?? 0,
  seldom: (random) => (random.next() < 0.3 ? Number.NaN : random.normal()),
  hour: (random) => random.next() * 24,
};
const CARRIERS = ['AA', 'UA', 'DL', 'WN'];
const NAMES = [...Object.keys(FEATURES), 'carrier'];
const ROWS = 600;

type Plant = (name: string, value: number, random: Random) => number;
interface Day {
  readonly numbers: Readonly<Record<string, number[]>>;
  readonly carriers: string[];
}

function dayOf(random: Random, plant: Plant = (_, value) => value, rename = false): Day {
  const mood = random.normal();
  const numbers = Object.fromEntries(
    Object.entries(FEATURES).map(([name, make]) => [
      name,
      Array.from({ length: ROWS }, () => plant(name, make(random, mood), random)),
    ]),
  );
  const carriers = Array.from({ length: ROWS }, () => {
    const carrier = CARRIERS[Math.floor(random.next() * 4)] ?? '';
    return rename && carrier === 'UA' ? 'United' : carrier;
  });
  return { numbers, carriers };
}

function referenceDays(random: Random, days: number) {
  const all = Array.from({ length: days }, () => dayOf(random));
  const binnings = Object.fromEntries(
    Object.keys(FEATURES).map((name) => [
      name,
      learnBinning(all.flatMap(({ numbers }) => numbers[name] ?? [])),
    ]),
  );
  const categories = learnCategories(all.flatMap(({ carriers }) => carriers));
  const windowOf = (day: Day, at: number): WindowSummary => ({
    from: at,
    to: at + 1,
    columns: Object.fromEntries([
      ...Object.entries(day.numbers).map(([name, values]) => [
        name,
        summariseNumbers(values, binnings[name] ?? learnBinning([])),
      ]),
      ['carrier', summariseWords(day.carriers, categories)],
    ]),
  });
  return { reference: referenceOf(all.map(windowOf)), windowOf };
}

const RULE: DriftRule = {
  statistic: 'psi',
  minEffect: 0.1,
  minCount: 300,
  falseDiscoveryRate: 0.05,
  falseAlarmsPerMonth: 1,
  ticksPerMonth: 30,
};

function decide(reference: ReferenceSummary, current: WindowSummary, rule: DriftRule = RULE) {
  const quiet = quietOf(reference, rule.statistic);
  return decideDrift({
    rule,
    features: NAMES.map((name) => {
      const [a, b] = [reference.whole.columns[name], current.columns[name]];
      return {
        name,
        calendar: name === 'hour',
        importance: 1 / NAMES.length,
        comparison: a === undefined || b === undefined ? nothing : driftOf(a, b),
        ...(quiet[name] ?? { nullEffects: [] }),
      };
    }),
  });
}

const PLANTS: Readonly<
  Record<string, { readonly plant: Plant; readonly feature: string; readonly why: RegExp }>
> = {
  'a feature shifted': {
    feature: 'delay_7d',
    plant: (name, value) => (name === 'delay_7d' ? value + 2 : value),
    why: /is at or above .*, where a quiet window has/,
  },
  nulls: {
    feature: 'flights_1h',
    plant: (name, value, random) => (name === 'flights_1h' && random.next() < 0.5 ? Number.NaN : value),
    why: /are missing, 0 % before/,
  },
  'a stuck sensor': {
    feature: 'delay_1h',
    plant: (name, value) => (name === 'delay_1h' ? 7.5 : value),
    why: /every value is the same/,
  },
  'all of it lost': {
    feature: 'late_1h',
    plant: (name, value) => (name === 'late_1h' ? Number.NaN : value),
    why: /100 % are missing/,
  },
  'a unit that changed': {
    feature: 'distance',
    plant: (name, value) => (name === 'distance' ? value * 1.609 : value),
    why: /never seen before/,
  },
};

describe('planted drifts', () => {
  const random = createRandom(11);
  const { reference, windowOf } = referenceDays(random, 14);

  for (const statistic of DRIFT_STATISTICS)
    for (const [name, { plant, feature, why }] of Object.entries(PLANTS))
      it(`${name} is found, and named first (${statistic})`, () => {
        const minEffect = { psi: 0.1, js: 0.1, ks: 0.1, wasserstein: 0.2, chi2: 0.1 }[statistic];
        const verdicts = decide(reference, windowOf(dayOf(random, plant), 99), {
          ...RULE,
          statistic,
          minEffect,
        });
        expect(verdicts[0]).toMatchObject({ name: feature, fired: true, reason: 'fired' });
        expect(verdicts[0]?.why).toMatch(why);
        expect(verdicts.filter(({ fired }) => fired).length).toBe(1);
      });

  it('says that the least effect alone counts where fewer than five quiet windows are known', () => {
    const random = createRandom(7);
    const { reference, windowOf } = referenceDays(random, MIN_QUIET - 2);
    const plant: Plant = (name, value) => (name === 'delay_7d' ? value + 2 : value);
    const [first] = decide(reference, windowOf(dayOf(random, plant), 99));
    expect(first?.why).toMatch(
      /is at or above the least effect of 0.1, which alone counts: fewer than 5 quiet/,
    );
  });

  it('a renamed category is found', () => {
    const verdicts = decide(
      reference,
      windowOf(
        dayOf(random, (_, value) => value, true),
        99,
      ),
    );
    expect(verdicts[0]).toMatchObject({ name: 'carrier', fired: true });
    expect(verdicts[0]?.why).toMatch(/2\d(\.\d)? % are values never seen before/);
  });

  it('one renamed category of 200 is found by its new name, though hardly a distance feels it', () => {
    const draw = createRandom(21);
    // A few large airports and many small ones.
    const airports = (renamed: string) =>
      Array.from({ length: 3_000 }, () => {
        const name = `A${Math.floor(200 * draw.next() ** 3)}`;
        return name === renamed ? 'NEW' : name;
      });
    const days = Array.from({ length: 14 }, () => airports(''));
    const kept = learnCategories(days.flat());
    const windowOfWords = (words: string[], at: number): WindowSummary => ({
      from: at,
      to: at + 1,
      columns: { airport: summariseWords(words, kept) },
    });
    const quiet = referenceOf(days.map(windowOfWords));
    const verdict = (words: string[]) => {
      const current = windowOfWords(words, 99).columns.airport;
      const before = quiet.whole.columns.airport;
      const nulls = quietOf(quiet, 'psi').airport;
      if (before === undefined || current === undefined || nulls === undefined) throw new Error('airport');
      const comparison = driftOf(before, current);
      const feature = { name: 'airport', calendar: false, importance: 1, comparison, ...nulls };
      return decideDrift({ features: [feature], rule: { ...RULE, minEffect: 0.25 } })[0];
    };
    expect(verdict(airports(''))).toMatchObject({ fired: false, statistic: 'psi' });
    const renamed = verdict(airports('A9'));
    expect(renamed).toMatchObject({ fired: true, statistic: 'new_categories' });
    expect(renamed?.effect).toBeLessThan(0.03);
    expect(renamed?.why).toMatch(/never seen before by 0.01/);
  });

  it('what is calendar by nature never fires, however large', () => {
    const night: Plant = (name, value) => (name === 'hour' ? value / 8 : value);
    const verdicts = decide(reference, windowOf(dayOf(random, night), 99));
    const hour = verdicts.find(({ name }) => name === 'hour');
    expect(hour).toMatchObject({ fired: false, reason: 'calendar', q: null });
    expect(hour?.effect).toBeGreaterThan(1);
    expect(verdicts.some(({ fired }) => fired)).toBe(false);
  });

  it('of two that fire, the one that the model leans on comes first', () => {
    const both: Plant = (name, value) => (name === 'delay_7d' || name === 'flights_1h' ? value * 5 : value);
    const current = windowOf(dayOf(random, both), 99);
    const quiet = quietOf(reference, 'psi');
    const named = (important: string) =>
      decideDrift({
        rule: RULE,
        features: ['delay_7d', 'flights_1h', 'distance'].map((name) => ({
          name,
          calendar: false,
          importance: name === important ? 0.9 : 0.01,
          comparison: driftOf(
            reference.whole.columns[name] ?? summariseNumbers([], learnBinning([])),
            current.columns[name] ?? summariseNumbers([], learnBinning([])),
          ),
          ...(quiet[name] ?? { nullEffects: [] }),
        })),
      }).map(({ name, fired }) => [name, fired]);
    expect(named('delay_7d').slice(0, 2)).toEqual([
      ['delay_7d', true],
      ['flights_1h', true],
    ]);
    expect(named('flights_1h')[0]).toEqual(['flights_1h', true]);
    // Importance alone is no drift.
    expect(named('distance').at(-1)).toEqual(['distance', false]);
  });

  it('too few rows, and too small an effect, say so', () => {
    const few = decide(reference, windowOf(dayOf(random), 99), { ...RULE, minCount: 601 });
    expect(new Set(few.map(({ reason }) => reason))).toEqual(new Set(['too_few', 'calendar']));
    expect(few.find(({ reason }) => reason === 'too_few')?.why).toMatch(
      /600 rows against 8400, where 601 are needed/,
    );
    const quiet = decide(reference, windowOf(dayOf(random), 99), { ...RULE, minEffect: 5 });
    expect(quiet.every(({ reason }) => reason === 'small_effect' || reason === 'calendar')).toBe(true);
    expect(decideDrift({ features: [], rule: RULE })).toEqual([]);
  });
});

describe('the budget of false alarms', () => {
  const DAYS = 600;
  const NUMBERS = 40;

  /** Effects of quiet days: each feature has its own size, and a part of every day is common to all. */
  const effectsOf = (random: Random, days: number) => {
    const common = Array.from({ length: days }, () => random.normal());
    return Array.from({ length: NUMBERS }, (_, feature) =>
      common.map((day) => Math.exp(-4 + (feature % 7) * 0.3 + 0.3 * day + 0.4 * random.normal())),
    );
  };

  for (const budget of [1, 4])
    it(`${budget} a month: about as many come, and no more ticks with any than that`, () => {
      const random = createRandom(budget);
      let [alarms, ticks] = [0, 0];
      for (let tick = 0; tick < DAYS; tick++) {
        const effects = effectsOf(random, 15);
        const thresholds = quietThresholds(
          effects.map((all, i) => ({ name: `f${i}`, effects: all.slice(0, 14) })),
          { falseAlarmsPerMonth: budget, ticksPerMonth: 30, minEffect: 0.001, squared: true },
        );
        const fired = effects.filter(
          (all, i) => (all[14] ?? 0) >= (thresholds.get(`f${i}`)?.quiet ?? 0),
        ).length;
        alarms += fired;
        ticks += fired > 0 ? 1 : 0;
      }
      const expected = (budget * DAYS) / 30;
      expect(ticks).toBeLessThanOrEqual(poissonBound(expected, 0.99));
      // Fourteen days that have much in common tell less of the tail than as many strangers would.
      expect(alarms).toBeLessThan(2 * expected);
      expect(alarms).toBeGreaterThan(expected / 4);
    });

  it('on whole windows with moods of their own: within the Poisson bound', () => {
    const random = createRandom(5);
    const history: JudgedTick[] = [];
    let significant = 0;
    for (let month = 0; month < 4; month++) {
      const { reference, windowOf } = referenceDays(random, 14);
      for (let day = 0; day < 15; day++) {
        const verdicts = decide(reference, windowOf(dayOf(random), 99), { ...RULE, minEffect: 0.02 });
        significant += verdicts.filter(({ q }) => q !== null && q <= RULE.falseDiscoveryRate).length;
        history.push({
          compared: verdicts.map(({ name }) => name),
          fired: verdicts.filter(({ fired }) => fired).map(({ name }) => name),
          drifted: [],
        });
      }
    }
    const { rule, always, never } = scoreDriftRule(history, 30);
    expect(rule.falseAlarms).toBeLessThanOrEqual(poissonBound(2, 0.95));
    expect(never.falseAlarms).toBe(0);
    expect(always.falseAlarmsPerMonth).toBe(30 * NAMES.length);
    // Without the quiet windows, significance alone would have fired on most days.
    expect(significant).toBeGreaterThan(60);
  });

  it('rises with what quiet windows do, and with a smaller budget; unknown where too few are known', () => {
    const quiet = (scale: number, budget: number, windows = 14) => {
      const random = createRandom(3);
      const effects = Array.from({ length: windows }, () => scale * Math.exp(0.3 * random.normal()));
      const budgets = { falseAlarmsPerMonth: budget, ticksPerMonth: 30, minEffect: 0.001, squared: true };
      return quietThresholds([{ name: 'a', effects }], budgets).get('a')?.quiet ?? null;
    };
    expect(quiet(0.1, 1)).toBeCloseTo((quiet(0.01, 1) ?? 0) * 10, 9);
    expect(quiet(0.1, 0.1)).toBeGreaterThan(quiet(0.1, 1) ?? 0);
    expect(quiet(0.1, 1)).toBeGreaterThan(quiet(0.1, 20) ?? 0);
    expect(quiet(0.1, 1, MIN_QUIET - 1)).toBeNull();
    expect(() => quiet(0.1, 0)).toThrow(RangeError);
  });

  it('quiet windows that are all alike still give a number', () => {
    const flat = quietThresholds([{ name: 'a', effects: new Array(14).fill(0) }], {
      ...RULE,
      squared: true,
    }).get('a');
    expect(flat?.quiet).toBeGreaterThan(0);
    expect(flat?.quiet).toBeLessThan(RULE.minEffect);
  });
});

describe('effects', () => {
  it('leave one out is the window against the others merged', () => {
    const { reference } = referenceDays(createRandom(2), 5);
    const found = quietOf(reference, 'js');
    reference.windows.forEach((window, i) => {
      const others = referenceOf(reference.windows.filter((_, j) => j !== i)).whole;
      for (const name of NAMES) {
        const [a, b] = [others.columns[name], window.columns[name]];
        if (a === undefined || b === undefined) throw new Error(name);
        expect(found[name]?.nullEffects[i]).toBeCloseTo(effectOf(driftOf(a, b), 'js') ?? -1, 12);
      }
    });
    expect(quietOf(referenceOf(reference.windows.slice(0, 1)), 'js').delay_1h?.nullEffects).toEqual([]);
  });

  it('a reference of one value has no deviation to count in: the share that left it counts', () => {
    const binning = learnBinning([5, 5, 5]);
    const moved = driftOf(summariseNumbers([5, 5, 5], binning), summariseNumbers([5, 9, 9, 9], binning));
    const of = (statistic: DriftStatistic) => effectOf(moved, statistic);
    expect(of('wasserstein')).toBe(0.75);
    expect(of('ks')).toBe(0.75);
  });
});

describe('scoring a rule', () => {
  it('counts what it found, how late, and what it cried for nothing', () => {
    const compared = ['a', 'b', 'c'];
    const tick = (drifted: string[], fired: string[]): JudgedTick => ({ compared, drifted, fired });
    //  a: changed at 1-4, found at 3 (2 late);  b: changed at 2-3, never found; changed again at 5, found at once
    const history = [
      tick([], ['c']),
      tick(['a'], []),
      tick(['a', 'b'], []),
      tick(['a', 'b'], ['a']),
      tick(['a'], ['a', 'b', 'c']),
      tick(['b'], ['b']),
    ];
    const { rule, always, never } = scoreDriftRule(history, 30);
    expect(rule).toEqual({
      alarms: 6,
      falseAlarms: 3,
      falseTicks: 2,
      falseAlarmsPerMonth: 15,
      precision: 0.5,
      drifts: 3,
      found: 2,
      meanDelayTicks: 1,
    });
    expect(always).toMatchObject({ alarms: 18, falseAlarms: 11, found: 3, meanDelayTicks: 0 });
    expect(never).toMatchObject({ alarms: 0, precision: null, found: 0, meanDelayTicks: null });
  });

  it('Poisson bounds are those of the tables', () => {
    expect([0, 0.5, 1, 2, 4, 10].map((mean) => poissonBound(mean))).toEqual([0, 2, 3, 5, 8, 15]);
    expect(() => poissonBound(-1)).toThrow(RangeError);
  });
});
