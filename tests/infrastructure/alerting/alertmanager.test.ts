import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSender } from '../../../infrastructure/alerting/sender.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import type { Delivery } from '../../../models/alerting/deliveries.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import { Alerting, until } from '../../monitoring/alerting.ts';
import { wall } from '../../streams/archive/archived.ts';
import { debianProgram, type Found } from '../prometheus/debian.ts';
import { alert } from './alert.ts';
import { Alertmanager } from './alertmanager.ts';
import { Receiver } from './receiver.ts';

let found: Found;
let hook: Receiver;
let manager: Alertmanager | null = null;
beforeAll(async () => {
  found = await debianProgram(
    'prometheus-alertmanager',
    'prometheus-alertmanager',
    '/usr/share/prometheus/alertmanager',
  );
  hook = await new Receiver().start();
  if ('reason' in found) return;
  manager = new Alertmanager(found, hook.url);
  await manager.start();
});
afterAll(async () => {
  await manager?.remove();
  await hook.stop();
});

const delivery = (...changes: Alert[]): Delivery => ({ id: 'd', receiver: 'am', group: {}, changes });
const ago = (ms: number) => Date.now() - ms;

it('a real Alertmanager takes what fires, tells of it, and is told when it is resolved', {
  timeout: 60_000,
}, async (context) => {
  if (manager === null) return context.skip('reason' in found ? found.reason : '');
  const sender = createSender({
    from: { project: 'flights', prefix: 'p' },
    connections: {
      receivers: { am: { kind: 'alertmanager', url: `${manager.url}/` } },
      allowPrivate: [`127.0.0.1:${manager.port}`],
    },
    now: Date.now,
  });
  const never = new AbortController().signal;
  const fired = alert(1, { at: ago(60_000), slice: '' });
  const other = alert(2, { at: ago(60_000), subject: 'origin.late_1h', value: null });
  expect(await sender.send(delivery(fired, other), never)).toEqual({ kind: 'delivered' });

  const held = (await manager.alerts()).sort((a, b) =>
    (a.labels.fingerprint ?? '') < (b.labels.fingerprint ?? '') ? -1 : 1,
  );
  expect(held.map(({ labels }) => labels)).toEqual([
    {
      alertname: 'worse',
      severity: 'page',
      project: 'flights',
      prefix: 'p',
      model: 'late',
      fingerprint: 'f1',
    },
    {
      alertname: 'worse',
      severity: 'page',
      project: 'flights',
      prefix: 'p',
      model: 'late',
      subject: 'origin.late_1h',
      slice: 'origin=2',
      fingerprint: 'f2',
    },
  ]);
  expect(held[0]).toMatchObject({
    status: { state: 'active' },
    startsAt: new Date(fired.at).toISOString(),
    annotations: {
      summary: 'It is worse.',
      value: '0.5',
      event_changed_at: '2001-04-01T00:00:00.000Z',
      change: 'f1:1',
    },
  });
  // An event of 2001 must not look as if it had ended 25 years ago.
  expect(Date.parse(held[0]?.endsAt ?? '')).toBeGreaterThan(Date.now() + 3_600_000);

  // Told again it is the same alert.
  await sender.send(delivery(fired), never);
  expect(await manager.alerts()).toHaveLength(2);

  const resolved: Alert = {
    ...fired,
    id: 'f1:2',
    change: 2,
    state: 'resolved',
    value: 0.1,
    endedAt: fired.tick + 1,
    at: Date.now(),
  };
  expect(await sender.send(delivery(resolved), never)).toEqual({ kind: 'delivered' });
  expect(
    (await manager.alerts()).map(({ labels }) => labels.fingerprint),
    'only the other is active',
  ).toEqual(['f2']);

  // What its own receivers hear: both firing, then one of them resolved.
  const heard = () =>
    hook.requests.flatMap(
      ({ body }) =>
        (
          JSON.parse(body) as {
            alerts: Array<{ status: string; labels: { fingerprint: string }; startsAt: string }>;
          }
        ).alerts,
    );
  const until = Date.now() + 20_000;
  while (Date.now() < until && !heard().some(({ status }) => status === 'resolved'))
    await new Promise((done) => setTimeout(done, 100));
  expect(new Set(heard().map(({ status, labels }) => `${labels.fingerprint} ${status}`))).toEqual(
    new Set(['f1 firing', 'f2 firing', 'f1 resolved']),
  );
  const [end] = heard().filter(({ status }) => status === 'resolved');
  expect(Date.parse(end?.startsAt ?? ''), 'since it fired').toBe(fired.at);
});

it('what Alertmanager does not take is refused with its reason', async (context) => {
  if (manager === null) return context.skip('reason' in found ? found.reason : '');
  const sender = createSender({
    from: { project: '', prefix: '' },
    connections: {
      receivers: { am: { kind: 'alertmanager', url: manager.url } },
      allowPrivate: [`127.0.0.1:${manager.port}`],
    },
    now: Date.now,
  });
  const nameless = alert(3, { rule: '', severity: '', model: '', slice: '', fingerprint: '' });
  expect(await sender.send(delivery(nameless), new AbortController().signal)).toMatchObject({
    kind: 'rejected',
    reason: expect.stringContaining('at least one label pair required'),
  });
});

it('an Alertmanager that has forgotten everything is told again of what fires', {
  timeout: 60_000,
}, async (context) => {
  if (manager === null) return context.skip('reason' in found ? found.reason : '');
  const held = manager;
  await held.kill();
  await held.start();
  const warehouse = await createMemoryWarehouse();
  const alerting = await Alerting.create(createMemoryBroker(wall).kafka(), warehouse, {
    receivers: { am: { kind: 'alertmanager', url: held.url } },
    routes: [{ severities: ['page'], rules: [], receivers: ['am'] }],
  });
  const active = async () => (await held.alerts()).map(({ labels }) => labels.fingerprint).sort();
  const stream = alerting.deliver({ refreshMs: 200 });
  try {
    await alerting.append([alert(1, { at: Date.now() }), alert(2, { at: Date.now() })]);
    await until('both are held', async () => (await active()).join() === 'f1,f2');
    await held.kill();
    await held.start();
    await until('both are held again', async () => (await active()).join() === 'f1,f2');
    await alerting.append([
      alert(2, { id: 'f2:2', change: 2, state: 'resolved', endedAt: 1, at: Date.now() }),
    ]);
    await until('one is resolved', async () => (await active()).join() === 'f1');
    await wall.sleep(600);
    expect(await active(), 'and stays so').toEqual(['f1']);
    expect(await alerting.deliveries(), 'reminders are not written down').toHaveLength(2);
  } finally {
    await stream.stop();
    await warehouse.close();
  }
});
