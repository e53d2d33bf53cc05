import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AlertSubscription, subscribeAlerts } from '../../client/alerts.ts';
import { createMemoryBroker, type MemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import { topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { type Codecs, openCodecs } from '../../streams/runtime/codecs.ts';
import { alert } from '../infrastructure/alerting/alert.ts';
import { trips, tripsProject } from '../infrastructure/clickhouse/project.ts';
import { until } from '../monitoring/alerting.ts';
import { wall } from '../streams/archive/archived.ts';

let project: Project;
let broker: MemoryBroker;
let codecs: Codecs;
const registry = createMemoryRegistry();
const open: AlertSubscription[] = [];

beforeEach(async () => {
  broker = createMemoryBroker(wall);
  project = tripsProject({
    ...trips,
    fields: trips.fields.map((field) => ({ ...field, name: field.name.replace(' ', '_') })),
  });
  codecs = await openCodecs(project, registry);
  const admin = await broker.kafka().admin();
  await admin.createTopics(topicSpecs(project).filter(({ name }) => name === topics.alerts(project.prefix)));
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function append(...alerts: Alert[]): Promise<void> {
  const log = new AlertLog({ kafka: broker.kafka(), codec: codecs.alerts, prefix: project.prefix });
  await log.catchUp();
  await log.append(alerts);
}

async function follow(from?: 'earliest' | 'latest' | number) {
  const got: string[] = [];
  let next = -1;
  const subscription = await subscribeAlerts(
    { project, ...(from === undefined ? {} : { from }), ports: { kafka: broker.kafka(), registry } },
    (alerts, at) => {
      got.push(...alerts.map(({ id }) => id));
      next = at;
    },
  );
  open.push(subscription);
  return { got, next: () => next, subscription };
}

it('follows from now, from the start, or from where one was', async () => {
  await append(alert(1), alert(2));
  const [all, fresh, rest] = [await follow('earliest'), await follow(), await follow(1)];
  await append(alert(3));
  await until('all have the last', () => [all, fresh, rest].every(({ got }) => got.includes('f3:1')));
  expect(all.got).toEqual(['f1:1', 'f2:1', 'f3:1']);
  expect(fresh.got).toEqual(['f3:1']);
  expect(rest.got).toEqual(['f2:1', 'f3:1']);
  expect(all.next()).toBe(3);
});

it('gives a change once, though the log has it twice', async () => {
  await append(alert(1));
  const one = await follow();
  const producer = await broker.kafka().producer();
  for (const again of [alert(1), alert(2), alert(2), alert(3)])
    await producer.send([
      { topic: topics.alerts(project.prefix), partition: 0, key: null, value: codecs.alerts.encode(again) },
    ]);
  await until('the last came', () => one.got.includes('f3:1'));
  expect(one.got).toEqual(['f2:1', 'f3:1']);
});

it('ends with what the handler throws, or where the log cannot be read', async () => {
  const failing = await subscribeAlerts(
    { project, from: 'earliest', ports: { kafka: broker.kafka(), registry } },
    () => {
      throw new Error('full');
    },
  );
  await append(alert(1));
  await expect(failing.done).rejects.toThrow('full');
  const one = await follow();
  const producer = await broker.kafka().producer();
  await producer.send([
    { topic: topics.alerts(project.prefix), partition: 0, key: null, value: Buffer.from('nonsense') },
  ]);
  await expect(one.subscription.done).rejects.toThrow(/ at offset 1 cannot be read: /);
});
