import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { createAlertEvaluator, evaluateAlerts } from '../../../monitoring/alerts/evaluate.ts';
import type { Measure } from '../../../schemas/monitoring.ts';
import { BAD, GOOD, measure, rule, tickOf } from '../../models/alerting/fixtures.ts';
import { wall } from '../../streams/archive/archived.ts';
import { Alerting } from '../alerting.ts';

let warehouse: Warehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

let broker: MemoryBroker;
let alerting: Alerting;
beforeEach(async () => {
  broker = createMemoryBroker(wall);
  alerting = await Alerting.create(broker.kafka(), warehouse, {
    rules: [rule({ forWindows: 2 }), rule({ name: 'brier', statistics: ['brier'] })],
  });
});

/** Ticks of one story: two windows measured again with labels, one slice that is bad for a day. */
const STORY: readonly (readonly Measure[])[] = [
  [measure(0, null), measure(0, GOOD, { statistic: 'brier' })],
  [measure(0, BAD, { tick: tickOf(1) }), measure(1, null)],
  [measure(1, BAD, { tick: tickOf(2) }), measure(2, BAD, { statistic: 'brier', slice: 'origin=ORD' })],
  [measure(3, GOOD), measure(3, BAD, { statistic: 'brier' })],
];

async function tell(ticks: readonly number[], restart: boolean): Promise<string[]> {
  let evaluator = createAlertEvaluator(alerting.deps);
  for (const window of ticks) {
    const measures = STORY[window] ?? [];
    await alerting.write(measures, 1_000 + window);
    if (restart) evaluator = createAlertEvaluator(alerting.deps);
    await evaluator.evaluate(tickOf(window), measures);
  }
  return (await alerting.logged()).map((line) => line.slice(16)).sort();
}

const EXPECTED = [':1 firing', ':1 firing', ':1 pending', ':2 firing', ':3 resolved'];

describe('evaluating ticks', () => {
  it('writes each change once, by one process or by a new one at each tick', async () => {
    expect(await tell([0, 1, 2, 3], false)).toEqual(EXPECTED);
    alerting = await Alerting.create(broker.kafka(), warehouse, { rules: alerting.project.alerting.rules });
    expect(await tell([0, 1, 2, 3], true)).toEqual(EXPECTED);
  });

  it('a tick judged again, by the same process or another, adds nothing and answers the same', async () => {
    const evaluator = createAlertEvaluator(alerting.deps);
    for (const [window, measures] of STORY.entries()) {
      await alerting.write(measures, 1_000 + window);
      const made = await evaluator.evaluate(tickOf(window), measures);
      const before = await alerting.logged();
      expect(await evaluator.evaluate(tickOf(window), measures)).toEqual(made);
      expect(await evaluateAlerts(alerting.deps, tickOf(window), measures)).toEqual(made);
      expect(await alerting.logged()).toEqual(before);
    }
    expect((await alerting.logged()).length).toBe(EXPECTED.length);
  });

  it('goes on from what another process judged meanwhile', async () => {
    const [one, other] = [createAlertEvaluator(alerting.deps), createAlertEvaluator(alerting.deps)];
    for (const [window, measures] of STORY.entries()) {
      await alerting.write(measures, 1_000 + window);
      // Leadership moves at each tick.
      await (window % 2 === 0 ? one : other).evaluate(tickOf(window), measures);
    }
    expect((await alerting.logged()).map((line) => line.slice(16)).sort()).toEqual(EXPECTED);
  });

  it.each(['before', 'after'] as const)(
    'a send that failed %s it was stored loses and doubles nothing',
    async (kind) => {
      const evaluator = createAlertEvaluator(alerting.deps);
      for (const [window, measures] of STORY.entries()) {
        await alerting.write(measures, 1_000 + window);
        broker.failNextSend(kind);
        // Only ticks with changes send at all.
        await evaluator.evaluate(tickOf(window), measures).catch(() => {});
        await evaluator.evaluate(tickOf(window), measures).catch(() => {});
        await evaluator.evaluate(tickOf(window), measures);
      }
      const ids = await alerting.logged();
      expect(ids.map((line) => line.slice(16)).sort()).toEqual(EXPECTED);
      expect(new Set(ids).size).toBe(EXPECTED.length);
    },
  );

  it('two processes that judge the same tick make the same ids', async () => {
    const two = [createAlertEvaluator(alerting.deps), createAlertEvaluator(alerting.deps)];
    for (const [window, measures] of STORY.entries()) {
      await alerting.write(measures, 1_000 + window);
      const [one, other] = await Promise.all(two.map((one) => one.evaluate(tickOf(window), measures)));
      expect(other).toEqual(one);
    }
    expect((await alerting.logged()).map((line) => line.slice(16)).sort()).toEqual(EXPECTED);
  });

  it('without rules it asks nothing of the warehouse', async () => {
    const empty = await Alerting.create(broker.kafka(), warehouse, { rules: [] });
    const deps = { ...empty.deps, warehouse: { query: () => Promise.reject(new Error('asked')) } };
    expect(await evaluateAlerts(deps, tickOf(0), [measure(0, BAD)])).toEqual([]);
  });
});
