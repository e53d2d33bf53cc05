import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { withNewWords } from '../../monitoring/drift/drift.ts';
import { detailOf, measure, readMeasures } from '../../monitoring/measures.ts';
import { createTickMemory, measureTick } from '../../monitoring/tick.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { DAY } from '../../schemas/time.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { poissonBound } from '../models/drift/score-rule.ts';
import { createWorld, ordersProject, type Plant, START, type World } from './fixture.ts';

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

async function run(world: World, days: number): Promise<Measure[][]> {
  const ticks: Measure[][] = [];
  for (let day = 0; day < days; day++) {
    await world.day(day);
    ticks.push([...(await world.tick(day))]);
  }
  return ticks;
}

const find = (measures: readonly Measure[], statistic: string, more: Partial<Measure> = {}) =>
  measures.filter(
    (one) =>
      one.statistic === statistic &&
      Object.entries({ slice: '', ...more }).every(([key, value]) => one[key as keyof Measure] === value),
  );
const firedDrift = (measures: readonly Measure[]) =>
  measures.filter(({ kind, fired }) => kind === 'drift' && fired).map(({ subject }) => subject);
const why = (one: Measure | undefined) => (one === undefined ? undefined : detailOf(one).why);

describe('a tick of event time', () => {
  it('looks at a window again until its labels are there, and holds the estimate against them', async () => {
    const world = await createWorld(warehouse);
    const ticks = await run(world, 4);
    const window = { from: START + DAY, version: 1 };
    const coverage = ticks.map((measures) => find(measures, 'label_coverage', window)[0]);
    expect(coverage.map((one) => one?.value === undefined)).toEqual([true, false, false, true]);
    expect(coverage[1]?.value).toBeGreaterThan(0.85);
    expect(coverage[1]?.value).toBeLessThan(0.95);
    expect(coverage[2]?.value).toBe(1);
    const estimates = ticks.map((all) => find(all, 'log_loss', { ...window, kind: 'estimate' })[0]);
    const [, first, then] = estimates;
    if (first === undefined || then === undefined) throw new Error('an estimate is missing');
    // It stands as it was made; what came of it is beside it.
    expect([then.value, then.low, then.high]).toEqual([first.value, first.low, first.high]);
    expect(detailOf(first).error).toBeUndefined();
    const truth = find(ticks[2] ?? [], 'log_loss', { ...window, kind: 'quality' })[0]?.value ?? Number.NaN;
    expect(detailOf(then)).toMatchObject({ truth, covered: true });
    expect(detailOf(then).error).toBeCloseTo(truth - (then.value ?? 0), 9);
    // The scores are the truth itself here.
    expect(Math.abs(truth - (then.value ?? 0))).toBeLessThan(0.05);
    const slices = ticks[3]?.filter(({ statistic, slice }) => statistic === 'auc' && slice !== '');
    expect(new Set(slices?.map(({ slice }) => slice))).toContain('shop=anna');
  });

  it('says the same again, from the archive alone', async () => {
    const world = await createWorld(warehouse);
    await run(world, 3);
    await world.day(3);
    const told = await world.tick(3);
    const deps = {
      ...world,
      telemetry: SILENT,
      artefacts: { get: () => Promise.reject(new Error('none kept')) },
    };
    const again = await measureTick(deps, START + 4 * DAY, createTickMemory());
    expect(again).toEqual(told);
    const line = (one: Measure) => JSON.stringify(Object.entries(one).sort());
    const stored = await readMeasures(warehouse, world.project.prefix, { tick: START + 4 * DAY });
    expect(stored.map(line).sort()).toEqual(told.map(line).sort());
  });

  it('stays within the budget of false alarms on quiet days', async () => {
    const world = await createWorld(warehouse, { seed: 5 });
    const days = 16;
    const ticks = await run(world, days);
    const alarms = ticks.flatMap(firedDrift);
    expect(alarms.length).toBeLessThanOrEqual(poissonBound(world.model.monitoring.drift.falseAlarmsPerMonth));
    const estimates = ticks.flatMap((all) =>
      all.filter((one) => one.kind === 'estimate' && detailOf(one).covered !== undefined),
    );
    const covered = estimates.filter((one) => detailOf(one).covered === true).length / estimates.length;
    expect(estimates.length).toBe((days - 1) * 6);
    expect(covered).toBeGreaterThan(0.9);
  });
});

describe('planted drifts', () => {
  const cases: ReadonlyArray<readonly [Plant['what'], readonly string[]]> = [
    ['shift', ['amount']],
    ['rename', ['shop', 'shop.late_7d', 'shop.amount_1d']],
    ['nulls', ['shop.late_7d']],
    ['stuck', ['weight']],
    ['flip', ['label']],
  ];
  it.each(cases)(
    '%s is found at once and named first',
    async (what, subjects) => {
      // A detector has to learn first what is usual.
      const from = what === 'flip' ? 4 : 2;
      const world = await createWorld(warehouse, { plants: [{ from, what }] });
      const ticks = await run(world, from + 2);
      expect(ticks.slice(0, from).flatMap(firedDrift)).toEqual([]);
      const first = ticks.findIndex((measures) => firedDrift(measures).length > 0);
      // Labels tell a day later: they have to come first.
      expect(first).toBe(what === 'flip' ? from + 1 : from);
      const fired = (ticks[first] ?? [])
        .filter(({ kind, fired }) => kind === 'drift' && fired)
        .sort((a, b) => Number(detailOf(a).rank) - Number(detailOf(b).rank));
      expect(subjects).toContain(fired[0]?.subject);
      expect(detailOf(fired[0] as Measure).why).toMatch(/above|values|missing/);
      const [news] = find(ticks[first] ?? [], 'new_categories', { subject: 'shop' });
      if (what === 'rename') expect(detailOf(news as Measure).names).toEqual(['annabel']);
      if (what === 'flip') {
        const detector = ticks.flat().filter(({ kind, fired }) => kind === 'detector' && fired);
        expect(detector.map(({ subject }) => subject)).toContain('loss');
      }
    },
    60_000,
  );
});

describe('bad input', () => {
  it('has a sentence for labels that never come', async () => {
    const world = await createWorld(warehouse, { plants: [{ from: 0, what: 'no_labels' }] });
    const ticks = await run(world, 3);
    const last = find(ticks[2] ?? [], 'log_loss', { kind: 'quality', from: START })[0];
    expect(last?.value).toBeNull();
    expect(why(last)).toBe('The window has no rows with a label.');
    expect(find(ticks[2] ?? [], 'label_coverage', { from: START })[0]?.value).toBe(0);
    expect(find(ticks[0] ?? [], 'log_loss', { kind: 'estimate' })[0]?.value).toBeGreaterThan(0);
    expect(why(find(ticks[2] ?? [], 'label_delay_p50')[0])).toBe('No request of the window has a label.');
  });

  it('has a sentence for a window without rows, and says that the volume fell', async () => {
    const project = ordersProject({ labelWait: 0 });
    const world = await createWorld(warehouse, { project, plants: [{ from: 1, what: 'silence' }] });
    const ticks = await run(world, 2);
    const [coverage] = find(ticks[1] ?? [], 'label_coverage', { from: START + DAY });
    expect(coverage).toMatchObject({ value: null });
    expect(why(coverage)).toBe('Nothing was scored in the window.');
    expect(find(ticks[1] ?? [], 'volume_z')[0]).toMatchObject({ fired: true });
    expect(firedDrift(ticks[1] ?? [])).toEqual([]);
  });

  it('has a sentence for one class only', async () => {
    const world = await createWorld(warehouse, { plants: [{ from: 0, what: 'one_class' }] });
    const ticks = await run(world, 2);
    const [auc] = find(ticks[1] ?? [], 'auc', { kind: 'quality', from: START });
    expect(auc?.value).toBeNull();
    expect(why(auc)).toBe('All labels are the same, so there is nothing to rank.');
  });

  it('compares a constant feature, begins without any reference, and alerts on nothing before it knows quiet days', async () => {
    const plants: Plant[] = [{ from: 1, what: 'shift' }];
    const world = await createWorld(warehouse, { reference: false, plants });
    const ticks = await run(world, 2);
    const [fixed] = find(ticks[1] ?? [], 'psi', { subject: 'fixed' });
    expect(fixed).toMatchObject({ value: 0, fired: false });
    const [amount] = find(ticks[0] ?? [], 'psi', { subject: 'amount' });
    expect(amount).toMatchObject({ value: null, fired: false });
    expect(why(amount)).toMatch(/200 are needed/);
    const [shifted] = find(ticks[1] ?? [], 'psi', { subject: 'amount' });
    expect(shifted?.value).toBeGreaterThan(0.5);
    expect(shifted?.fired).toBe(false);
    expect(why(shifted)).toMatch(/The reference has 1 windows/);
  });
});

it('names of new categories stand beside the verdict where that figure speaks for its column', async () => {
  const window = { from: 0, to: 1, tick: 1, kind: 'drift', statistic: 'new_categories' } as const;
  const one = measure({
    ...window,
    subject: 'shop',
    value: 0.2,
    fired: true,
    detail: { rank: 1, why: 'So.' },
  });
  const named = await withNewWords({ newWords: async () => ['annabel'] }, ['shop'], one);
  expect(detailOf(named)).toEqual({ rank: 1, why: 'So.', names: ['annabel'] });
});
