import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { seriesOf } from '../../models/alerting/windows.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { measure } from '../models/alerting/fixtures.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const project = loadProject(`${root}config`, { environment: {} });

const quality = (other: Partial<Measure>) =>
  measure(0, 0.25, { rows: 15_000, detail: '{"settled":true,"by":"champion"}', ...other });
const of = (kind: Measure['kind'], other: Partial<Measure>) =>
  measure(0, 0.2, { kind, statistic: 'any', ...other });

/** Of each rule: a figure it is for, and some that look like it and are none of its business. */
const CASES: Readonly<Record<string, readonly [Measure, ...Measure[]]>> = {
  model_worse: [
    quality({ value: 0.42, low: 0.4, high: 0.44 }),
    quality({}),
    quality({ value: 0.42, low: 0.3 }),
    quality({ value: 0.42, low: 0.4, rows: 50 }),
    quality({ value: 0.42, low: 0.4, slice: 'origin=ORD' }),
    quality({ value: 0.42, low: 0.4, detail: '{"by":"shadow"}' }),
  ],
  model_miscalibrated: [
    quality({ statistic: 'calibration_error', value: 0.06, low: 0.05 }),
    quality({ statistic: 'calibration_error', value: 0.016, low: 0.012 }),
  ],
  slice_worse: [
    quality({ value: 0.6, low: 0.55, rows: 500, slice: 'origin=ORD' }),
    quality({ value: 0.6, low: 0.55, rows: 500 }),
    quality({ value: 0.6, low: 0.55, rows: 50, slice: 'origin=BTV' }),
  ],
  model_may_be_worse: [
    of('estimate', { statistic: 'log_loss', value: 0.45, low: 0.42, rows: 15_000 }),
    of('estimate', { statistic: 'log_loss', value: 0.25, low: 0.22, rows: 15_000 }),
  ],
  drifted: [of('drift', { fired: true }), of('drift', { fired: false })],
  loss_changed: [of('detector', { fired: true }), of('detector', { fired: false })],
  data_odd: [of('data', { fired: true }), of('data', { fired: false })],
  stale: [of('freshness', { fired: true }), of('freshness', { fired: false })],
};

describe("the flights' alerts", () => {
  it('are tried here, each of them', () => {
    expect(project.alerting.rules.map(({ name }) => name)).toEqual(Object.keys(CASES));
  });

  it.each(Object.entries(CASES))(
    '%s holds of what it is for, and of nothing else',
    (name, [bad, ...others]) => {
      const rule = project.alerting.rules.find((one) => one.name === name);
      if (rule === undefined) throw new Error(name);
      const holds = (one: Measure) => seriesOf(rule, [one])[0]?.windows[0]?.holds;
      expect(holds(bad)).toBe(true);
      for (const other of others) expect(holds(other) ?? false).toBe(false);
      expect(holds({ ...bad, value: null, low: null, high: null, fired: false }) ?? false, 'no answer').toBe(
        false,
      );
    },
  );

  it('are told to nobody until somebody says to whom', () => {
    expect(Object.values(project.connections.receivers).map(({ url }) => url)).toEqual(['', '']);
    const told = loadProject(`${root}config`, {
      environment: { MILLRACE_WEBHOOK_URL: 'https://hooks.example.com/x', MILLRACE_WEBHOOK_SECRET: 's' },
    });
    expect(told.connections.receivers.webhook).toEqual({
      kind: 'webhook',
      url: 'https://hooks.example.com/x',
      secret: 's',
    });
  });
});
