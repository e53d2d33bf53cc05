import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WarehouseError } from '../../infrastructure/clickhouse/errors.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { createMemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { createAlertEvaluator } from '../../monitoring/alerts/evaluate.ts';
import { readTicks, writeTick } from '../../monitoring/progress.ts';
import { createTickMemory, measureTick } from '../../monitoring/tick.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { DAY } from '../../schemas/time.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { Receiver } from '../infrastructure/alerting/receiver.ts';
import { BAD, measure, rule, tickOf } from '../models/alerting/fixtures.ts';
import { wall } from '../streams/archive/archived.ts';
import { Alerting, until } from './alerting.ts';
import { createWorld, START } from './fixture.ts';

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

const receivers: Receiver[] = [];
afterEach(() => Promise.all(receivers.splice(0).map((one) => one.stop())));

describe('many alerts in one tick', () => {
  it.each([300, 2_500])(
    '%i are judged, written down, and all delivered',
    async (many) => {
      const ops = await new Receiver().start();
      receivers.push(ops);
      const broker = createMemoryBroker(wall);
      const alerting = await Alerting.create(broker.kafka(), warehouse, {
        rules: [rule({ severity: 'page' })],
        receivers: { ops: ops.url },
        routes: [{ severities: ['page'], rules: [], receivers: ['ops'] }],
      });
      const { prefix } = alerting.project;
      const slices = Array.from({ length: many }, (_, i) => `card=${String(i).padStart(47, '0')}`);
      const evaluator = createAlertEvaluator(alerting.deps);
      const changes = await evaluator.evaluate(
        tickOf(0),
        slices.map((slice) => measure(0, BAD, { slice })),
      );
      await evaluator.close();
      expect(changes).toHaveLength(many);

      // What monitoring keeps of the tick names them all.
      const fired = changes.map(({ rule, id, model }) => ({ rule, id, model }));
      await writeTick(warehouse, prefix, tickOf(0), 'finished', { measures: many, fired }, Date.now());
      const [tick] = await readTicks(warehouse, prefix);
      expect((JSON.parse(tick?.detail ?? '{}') as { fired: unknown[] }).fired).toHaveLength(many);

      const delivery = alerting.deliver();
      const told = () =>
        new Set(
          ops.requests.flatMap(({ body }) =>
            (JSON.parse(body) as { alerts: Alert[] }).alerts.map(({ slice }) => slice),
          ),
        );
      await until('all were told', () => told().size === many);
      await delivery.stop();
      expect(alerting.failures).toEqual([]);
      expect([...told()].sort()).toEqual(slices);
    },
    60_000,
  );
});

describe('a part of a tick that fails', () => {
  /** Statements that match are refused as a server refuses what it cannot work. */
  const refusing = (pattern: RegExp, error: () => Error): Warehouse => ({
    ...warehouse,
    query: (sql, parameters) =>
      pattern.test(sql) ? Promise.reject(error()) : warehouse.query(sql, parameters),
  });
  const DRIFT = /argMax\(model_version/;

  async function measured(one: Warehouse, days = 2) {
    const world = await createWorld(warehouse);
    for (let day = 0; day < days; day += 1) {
      await world.day(day);
      await world.tick(day);
    }
    await world.day(days);
    const skipped: string[] = [];
    const notes: string[] = [];
    const deps = {
      project: world.project,
      warehouse: one,
      telemetry: { ...SILENT, note: (_: string, message: string) => void notes.push(message) },
      artefacts: { get: () => Promise.reject(new Error('none kept')) },
      onSkipped: (what: string, reason: string) => void skipped.push(`${what}: ${reason}`),
    };
    const measures = await measureTick(deps, START + (days + 1) * DAY, createTickMemory());
    return { measures, skipped, notes };
  }

  it.each([
    [
      'a statement that is refused',
      () => new WarehouseError('refused', 'ClickHouse refuses it (431 X): too long'),
    ],
    ['a bug', () => new TypeError('undefined is not a function')],
  ])(
    '%s is skipped and told; the rest of the tick is measured',
    async (_, error) => {
      const { measures, skipped, notes } = await measured(refusing(DRIFT, error));
      expect(new Set(measures.map(({ kind }) => kind))).toContain('quality');
      // The label is compared apart from the features.
      expect(measures.filter(({ kind, subject }) => kind === 'drift' && subject !== 'label')).toEqual([]);
      expect(skipped).toEqual([expect.stringMatching(/^the drift of the model risk: \w/)]);
      expect(notes).toContain('a part of a tick was skipped');
    },
    60_000,
  );

  it.each(['unreachable', 'overloaded', 'answer_lost', 'missing_table', 'not_allowed'] as const)(
    'nothing is skipped where the warehouse itself fails (%s)',
    async (code) => {
      await expect(measured(refusing(DRIFT, () => new WarehouseError(code, 'away')))).rejects.toMatchObject({
        code,
      });
    },
    60_000,
  );
});

it('a slice by a field with a value for each customer keeps the largest and says so', async () => {
  const world = await createWorld(warehouse);
  await world.day(0);
  const [slice] = world.model.monitoring.slices;
  if (slice === undefined) throw new Error('a slice');
  const bounded = { ...slice, minRows: 1, atMost: 2 };
  const monitoring = { ...world.model.monitoring, slices: [bounded] };
  const project = { ...world.project, models: [{ ...world.model, monitoring }] };
  const notes: Array<Readonly<Record<string, string | number>>> = [];
  const deps = {
    project,
    warehouse,
    telemetry: {
      ...SILENT,
      note: (_: string, message: string, details: Readonly<Record<string, string | number>> = {}) => {
        if (message.includes('at_most')) notes.push(details);
      },
    },
    artefacts: { get: () => Promise.reject(new Error('none kept')) },
  };
  const measures = await measureTick(deps, START + DAY, createTickMemory());
  const coverage = measures.filter(
    ({ statistic, kind }) => kind === 'quality' && statistic === 'label_coverage',
  );
  const names = coverage.map((one) => one.slice);
  expect(names).toHaveLength(4);
  expect(names).toContain('shop=other');
  const rowsOf = (name: (slice: string) => boolean) =>
    coverage.filter((one) => name(one.slice)).reduce((sum, { rows }) => sum + rows, 0);
  // No request is lost: those in slices are all of them.
  expect(rowsOf((name) => name !== '')).toBe(rowsOf((name) => name === ''));
  expect(notes).toEqual([expect.objectContaining({ slice: 'shop', kept: 2, rest: 'shop=other' })]);
});
