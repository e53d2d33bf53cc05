import fc from 'fast-check';
import { expect, it } from 'vitest';
import { deliveriesOf, isTold, receiversOf, silenceOf } from '../../../models/alerting/deliveries.ts';
import { type Alerting, SEVERITIES } from '../../../schemas/alert.ts';
import { ALERT_STATES, type Alert } from '../../../schemas/records/alert.ts';
import { alert } from '../../infrastructure/alerting/alert.ts';

type Routing = Pick<Alerting, 'routes' | 'groupBy'>;

const alertings: fc.Arbitrary<Routing> = fc.record({
  routes: fc.array(
    fc.record({
      severities: fc.subarray([...SEVERITIES], { minLength: 1 }),
      rules: fc.subarray(['worse', 'drifted']),
      receivers: fc.subarray(['ops', 'team', 'boss'], { minLength: 1 }),
    }),
    { maxLength: 3 },
  ),
  groupBy: fc.subarray(['rule', 'model', 'severity'] as const),
});

const changes: fc.Arbitrary<readonly Alert[]> = fc
  .array(
    fc.record({
      state: fc.constantFrom(...ALERT_STATES),
      rule: fc.constantFrom('worse', 'drifted', 'stale'),
      severity: fc.constantFrom(...SEVERITIES),
      model: fc.constantFrom('late', ''),
      fired: fc.boolean(),
    }),
    { maxLength: 30 },
  )
  .map((all) =>
    all.map(({ state, fired, ...rest }, n) =>
      alert(n, { ...rest, state, firedAt: state === 'firing' || (state === 'resolved' && fired) ? 1 : null }),
    ),
  );

it('every change that is told reaches every receiver of its first route once, and nobody else', () => {
  fc.assert(
    fc.property(alertings, changes, (alerting, all) => {
      const deliveries = deliveriesOf(alerting, 'p', all);
      const told = deliveries.flatMap(({ receiver, changes: some }) =>
        some.map(({ id }) => `${receiver} ${id}`),
      );
      const wanted = all
        .filter(isTold)
        .flatMap((one) => receiversOf(alerting, one).map((receiver) => `${receiver} ${one.id}`));
      expect(told.sort()).toEqual(wanted.sort());
      expect(new Set(deliveries.map(({ id }) => id)).size).toBe(deliveries.length);
    }),
  );
});

it('what is told together shares what it is grouped by, and is not told apart', () => {
  fc.assert(
    fc.property(alertings, changes, (alerting, all) => {
      const deliveries = deliveriesOf(alerting, 'p', all);
      for (const { group, changes: some } of deliveries)
        for (const one of some) expect(one).toMatchObject(group);
      const keys = deliveries.map(({ receiver, group }) => JSON.stringify([receiver, group]));
      expect(new Set(keys).size).toBe(keys.length);
    }),
  );
});

it('a delivery is bounded', () => {
  const alerting: Routing = {
    routes: [{ severities: ['page'], rules: [], receivers: ['ops'] }],
    groupBy: [],
  };
  const all = Array.from({ length: 250 }, (_, n) => alert(n));
  expect(deliveriesOf(alerting, 'p', all).map((one) => one.changes.length)).toEqual([100, 100, 50]);
});

it('the first route that matches counts', () => {
  const routes: Alerting['routes'] = [
    { severities: ['page'], rules: ['drifted'], receivers: ['team'] },
    { severities: ['page', 'warning'], rules: [], receivers: ['ops', 'ops'] },
  ];
  const of = (rule: string, severity: string) => receiversOf({ routes }, { rule, severity });
  expect(of('drifted', 'page')).toEqual(['team']);
  expect(of('drifted', 'warning')).toEqual(['ops']);
  expect(of('worse', 'page')).toEqual(['ops']);
  expect(of('worse', 'info')).toEqual([]);
});

it('a silence is of what it names, until its time', () => {
  const silence = { id: 's', rule: 'worse', model: '', subject: 'x', until: 10, by: '', reason: '' };
  const of = (rule: string, subject: string, now: number) =>
    silenceOf([silence], { rule, model: 'late', subject }, now)?.id ?? null;
  expect(of('worse', 'x', 9)).toBe('s');
  expect(of('worse', 'x', 10)).toBeNull();
  expect(of('worse', 'y', 9)).toBeNull();
  expect(of('drifted', 'x', 9)).toBeNull();
});
