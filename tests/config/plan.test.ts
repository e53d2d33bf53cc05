import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventRecord } from '../../schemas/event.ts';
import { DAY, HOUR, MINUTE } from '../../schemas/time.ts';
import type { ColumnKind, TileSet, View } from '../../schemas/view.ts';
import { edited, FILES, load } from './project.ts';

const V = 'views/customer.yaml';

function viewOf(features: string, head = ''): View {
  const text = `view: customer\nentity: [customer]\nresolution: 1m\n${head}features:\n${features}\n`;
  const { 'models/returns.yaml': _, ...files } = FILES;
  const [view] = load({ ...files, [V]: text }).views;
  if (view === undefined) throw new Error('the project has a view');
  return view;
}

const order = (fields: Partial<Record<string, EventRecord[string]>> = {}): EventRecord => ({
  id: '1',
  type: 'order.placed',
  time: 0,
  order_id: 'o',
  customer: 'c',
  amount: null,
  items: null,
  paid: null,
  placed_at: null,
  zone: null,
  ...(fields as Record<string, string>),
});

const valuesOf = (view: View, event: EventRecord) =>
  Object.fromEntries(view.inputs.map((input) => [input.name, input.evaluate(event)]));

const kindsOf = (view: View, feature: string): ColumnKind[] => {
  const found = view.features.find((one) => one.name === feature);
  const set = view.sets[found?.set ?? -1];
  return (found?.columns ?? []).map((index) => set?.columns[index]?.kind ?? 'count');
};

describe('inputs', () => {
  const value = 'event: order.placed, of: amount, scale: 100, range: [0, 1000], windows: [1h]';

  it('are shared by features that read the same', () => {
    const view = viewOf(`
  - {name: spent, aggregation: [sum, mean, stddev], ${value}}
  - {name: dearest, aggregation: max, ${value}}
  - {name: cheapest, aggregation: min, event: order.placed, of: amount, scale: 10, range: [0, 1000], windows: [1h]}`);
    expect(view.inputs.map((input) => [input.name, input.scale])).toEqual([
      ['spent', 100],
      ['cheapest', 10],
    ]);
  });

  it('round once to their scale, and are clipped to their range', () => {
    const view = viewOf(`  - {name: spent, aggregation: sum, ${value}}`);
    const spent = (amount: number | null, type = 'order.placed') =>
      view.inputs[0]?.evaluate(order({ amount, type }));
    expect(spent(12.345)).toBe(1235);
    expect(spent(5000)).toBe(100_000);
    expect(Object.is(spent(-7), 0)).toBe(true);
    expect(spent(null)).toBeNull();
    expect(spent(1, 'order.returned')).toBeNull();
  });

  it('read conditions as 0 and 1, events as 1, and texts as a hash', () => {
    const view = viewOf(
      `
  - {name: big, aggregation: share, of: amount > 100, windows: [1h]}
  - {name: paid, aggregation: count, where: paid, windows: [1h]}
  - {name: since, aggregation: seconds_since_last, windows: [1h]}
  - {name: zones, aggregation: distinct, of: zone, windows: [1h]}
  - {name: baskets, aggregation: distinct, of: items, windows: [1h]}`,
      'where: amount > 0\n',
    );
    const hash = expect.any(Number) as unknown as number;
    expect(valuesOf(view, order({ amount: 200, paid: false, zone: 'UTC', items: 3 }))).toEqual({
      big: 1,
      paid: null,
      since: 1,
      zones: hash,
      baskets: hash,
    });
    expect(valuesOf(view, order({ amount: 1, paid: true }))).toEqual({
      big: 0,
      paid: 1,
      since: 1,
      zones: null,
      baskets: null,
    });
    expect(Object.values(valuesOf(view, order({ amount: 0, paid: true, zone: 'UTC' })))).toEqual(
      Array(5).fill(null),
    );
    expect(view.inputs.map((input) => input.kind)).toEqual(['integer', 'integer', 'integer', 'hash', 'hash']);
  });

  it('law: an input is null or an exact integer, whatever the event holds', () => {
    const view = viewOf(`
  - {name: ratio, aggregation: sum, of: amount / items, scale: 1000, range: [-1000, 1000], windows: [1h]}
  - {name: root, aggregation: max, of: sqrt(amount) * exp(items), scale: 1000, windows: [1h]}`);
    const number = fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }));
    fc.assert(
      fc.property(number, number, (amount, items) => {
        for (const input of view.inputs) {
          const result = input.evaluate(order({ amount, items }));
          expect(result === null || (Number.isSafeInteger(result) && !Object.is(result, -0))).toBe(true);
        }
      }),
    );
  });
});

describe('columns', () => {
  it('stand in the order that each aggregation reads', () => {
    const view = viewOf(`
  - {name: n, aggregation: count, windows: [1h]}
  - name: a
    aggregation: [sum, mean, min, max, variance, stddev, last, seconds_since_last, decayed_sum, decayed_mean]
    of: amount
    scale: 100
    range: [0, 100]
    half_life: 30m
    windows: [1h]
  - {name: b, aggregation: stddev, of: amount, scale: 100, range: [0, 100000], windows: [1h]}
  - {name: late, aggregation: share, of: paid, windows: [1h]}`);
    expect(
      Object.fromEntries(view.features.map((feature) => [feature.name, kindsOf(view, feature.name)])),
    ).toEqual({
      n_1h: ['count'],
      a_sum_1h: ['sum'],
      a_mean_1h: ['sum', 'count'],
      a_min_1h: ['min'],
      a_max_1h: ['max'],
      a_variance_1h: ['sum', 'count', 'square'],
      a_stddev_1h: ['sum', 'count', 'square'],
      a_last_1h: ['last_time', 'last_value'],
      a_seconds_since_last_1h: ['last_time', 'last_value'],
      a_decayed_sum_1h: ['sum'],
      a_decayed_mean_1h: ['sum', 'count'],
      b_1h: ['sum', 'count', 'square_high', 'square_low'],
      late_1h: ['sum', 'count'],
    });
    for (const set of view.sets)
      for (const [index, column] of set.columns.entries()) {
        const next = set.columns[index + 1];
        if (column.kind === 'last_time') expect(next).toEqual({ kind: 'last_value', input: column.input });
        if (column.kind === 'square_high') expect(next).toEqual({ kind: 'square_low', input: column.input });
      }
    expect(view.features.find((feature) => feature.name === 'a_decayed_sum_1h')).toMatchObject({
      halfLife: 30 * MINUTE,
      scale: 100,
    });
  });

  it('law: a column stands once, and every index points at something', () => {
    for (const view of load(FILES).views)
      for (const feature of view.features) {
        const set = view.sets[feature.set] as TileSet;
        const own = set.kind === 'sketches' ? set.sketches : set.columns;
        expect(new Set(own.map((one) => JSON.stringify(one))).size).toBe(own.length);
        for (const column of feature.columns) expect(own[column]).toBeDefined();
        if (feature.kind === 'window') expect(set.windows[feature.window]).toBeDefined();
      }
  });
});

describe('tile sets', () => {
  it('hold their windows in ascending order, with hops, and reach far enough', () => {
    const view = viewOf('  - {name: n, aggregation: count, windows: [7d, 1h, 24h, 6h]}', 'slack: 4h\n');
    const [set] = view.sets;
    expect(set?.windows).toEqual([
      { length: HOUR, hop: MINUTE },
      { length: 6 * HOUR, hop: 5 * MINUTE },
      { length: DAY, hop: HOUR },
      { length: 7 * DAY, hop: 6 * HOUR },
    ]);
    expect(set?.reach).toBe(7 * DAY + 6 * HOUR + MINUTE);
    expect(view.features.map((feature) => feature.name)).toEqual(['n_7d', 'n_1h', 'n_24h', 'n_6h']);
    expect(view.features.map((feature) => 'window' in feature && feature.window)).toEqual([3, 0, 2, 1]);
    /*
     * rung     longest   slack   next rung   tiles
     * 1m       60        240     5           305 + 1
     * 5m       72        48      12          132 + 1
     * 1h       24        4       6           34 + 1
     * 6h       28        1       1           30 + 1
     */
    expect(set?.worstTiles).toBe(306 + 133 + 35 + 31);
  });

  it('keep sketches apart, at a resolution of their own', () => {
    const view = viewOf(`
  - {name: n, aggregation: count, windows: [1h]}
  - {name: zones, aggregation: distinct, of: zone, precision: 14, windows: [1h, 1d]}
  - {name: amount, aggregation: quantile, of: amount, scale: 100, quantiles: [0.5, 0.999], windows: [1h]}`);
    expect(view.sets.map((set) => [set.suffix, set.resolution])).toEqual([
      ['w', MINUTE],
      ['s', 5 * MINUTE],
    ]);
    expect(view.sets[1]?.sketches).toEqual([
      { kind: 'hll', input: 1, precision: 14, alpha: 0.01 },
      { kind: 'ddsketch', input: 2, precision: 12, alpha: 0.01 },
    ]);
    expect(view.features.map((feature) => feature.name)).toEqual([
      'n_1h',
      'zones_1h',
      'zones_1d',
      'amount_p50_1h',
      'amount_p99_9_1h',
    ]);
    expect(view.slack).toBe(20 * MINUTE);
  });

  it('place stretches, and windows end a delay earlier where a second time is the key', () => {
    const view = viewOf(
      `
  - {name: n, aggregation: count, times: 7, stretches: {near: [-10m, 10m], before: [-90m, -10m]}}
  - {name: m, aggregation: count, windows: [1h]}`,
      'at: {field: placed_at, max_delay: 2h}\n',
    );
    expect(view.at).toEqual({ field: 'placed_at', maxDelay: 2 * HOUR });
    expect(view.features[1]).toEqual({
      kind: 'periodic',
      name: 'n_before',
      aggregation: 'count',
      set: 0,
      columns: [0],
      scale: 1,
      every: DAY,
      times: 7,
      from: -90 * MINUTE,
      to: -10 * MINUTE,
    });
    expect(view.sets[0]?.reach).toBe(7 * DAY + 90 * MINUTE + 2 * HOUR);
    expect(view.sets[0]?.windows).toEqual([]);
    expect(view.sets[1]?.reach).toBe(HOUR + MINUTE + 2 * HOUR + 2 * MINUTE);
  });
});

describe('versions', () => {
  const version = (files: Record<string, string>) => load({ ...FILES, ...files }).views[0]?.version;
  const sound = version({});

  it('are eight hex digits and stay', () => {
    expect(sound).toMatch(/^[0-9a-f]{8}$/);
    expect(version({})).toBe(sound);
  });

  it('do not change with spaces, comments and the form of a duration', () => {
    expect(version(edited(V, 'resolution: 1m', '# a comment\nresolution: 1m'))).toBe(sound);
    expect(version(edited(V, 'of: amount', 'of: "  amount "'))).toBe(sound);
    expect(version(edited(V, 'resolution: 1m', 'resolution: 1m\nslack: 900s'))).toBe(sound);
  });

  it.each([
    ['of: amount', 'of: amount * 2'],
    ['range: [0, 10000]', 'range: [0, 9999]'],
    ['windows: [1d]', 'windows: [2d]'],
    ['event: order.placed, windows', 'windows'],
    ['resolution: 1m', 'resolution: 1m\nslack: 1h'],
    ['resolution: 1m', 'resolution: 1m\nread_delay: 2m'],
    ['resolution: 1m', 'resolution: 1m\nwhere: amount > 1'],
  ])('change with the definition: %s', (from, to) => {
    expect(version(edited(V, from, to))).not.toBe(sound);
  });
});
