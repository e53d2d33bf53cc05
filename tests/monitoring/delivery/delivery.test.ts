import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Sender } from '../../../infrastructure/alerting/sender.ts';
import { WarehouseError } from '../../../infrastructure/clickhouse/errors.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { readSilences, writeSilence } from '../../../monitoring/alerts/silences.ts';
import { groups, headers, topics } from '../../../schemas/names.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import { alert } from '../../infrastructure/alerting/alert.ts';
import { Receiver } from '../../infrastructure/alerting/receiver.ts';
import { wall } from '../../streams/archive/archived.ts';
import { Alerting, until } from '../alerting.ts';

let warehouse: Warehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

let broker: MemoryBroker;
let ops: Receiver;
let team: Receiver;
let alerting: Alerting;
beforeEach(async () => {
  broker = createMemoryBroker(wall);
  [ops, team] = await Promise.all([new Receiver().start(), new Receiver().start()]);
  alerting = await Alerting.create(broker.kafka(), warehouse, {
    receivers: { ops: ops.url, team: team.url, off: '' },
    routes: [
      { severities: ['page'], rules: [], receivers: ['ops', 'off'] },
      { severities: ['warning'], rules: ['worse'], receivers: ['ops', 'team'] },
    ],
  });
});
afterEach(() => Promise.all([ops.stop(), team.stop()]));

const firing = (n: number, other: Partial<Alert> = {}) => alert(n, other);
const resolved = (n: number, other: Partial<Alert> = {}) =>
  alert(n, { id: `f${n}:2`, change: 2, state: 'resolved', endedAt: Date.UTC(2001, 3, 2), ...other });

/** Changes that a receiver got, dropping deliveries it has seen: `<id> <state>`. */
function taken(receiver: Receiver): string[] {
  const seen = new Set<unknown>();
  return receiver.requests.flatMap(({ headers: sent, body }) => {
    if (seen.has(sent['millrace-delivery'])) return [];
    seen.add(sent['millrace-delivery']);
    const { alerts } = JSON.parse(body) as { alerts: Alert[] };
    return alerts.map(({ id, state }) => `${id} ${state}`);
  });
}

async function committed(): Promise<number | null> {
  const admin = await alerting.kafka.admin();
  const { prefix } = alerting.project;
  return (await admin.committed(groups.delivery(prefix), topics.alerts(prefix)))[0] ?? null;
}

describe('delivery', () => {
  it('tells firing and resolved to the first route that matches, together by rule and model', async () => {
    await alerting.append([
      firing(1),
      firing(2),
      firing(3, { rule: 'drifted' }),
      firing(4, { severity: 'warning' }),
      firing(5, { severity: 'warning', rule: 'drifted' }),
      firing(6, { state: 'pending', firedAt: null }),
      resolved(7),
      resolved(8, { firedAt: null }),
    ]);
    const delivery = alerting.deliver();
    await until('all is committed', async () => (await committed()) === 8);
    await delivery.stop();
    expect(taken(ops).sort()).toEqual([
      'f1:1 firing',
      'f2:1 firing',
      'f3:1 firing',
      'f4:1 firing',
      'f7:2 resolved',
    ]);
    expect(taken(team)).toEqual(['f4:1 firing']);
    expect(await alerting.deliveries()).toEqual([
      'ops delivered 1 f1:1 f2:1 f4:1 f7:2',
      'ops delivered 1 f3:1',
      'team delivered 1 f4:1',
    ]);
    expect(alerting.failures).toEqual([]);
  });

  it('a receiver that is away gets everything later and in order, and holds up no other', async () => {
    ops.answers.push({ status: 500 }, { status: 503 }, { status: 429 });
    await alerting.append([firing(1, { severity: 'warning' })]);
    await alerting.append([resolved(1, { severity: 'warning' })]);
    const delivery = alerting.deliver({ limits: { firstPauseMs: 100, longestPauseMs: 100 } });
    await until('team has both', () => team.requests.length === 2);
    expect(taken(ops)).not.toContain('f1:2 resolved');
    expect(await committed()).toBeNull();
    await until('ops has both', () => ops.requests.length === 5);
    await until('it is committed', async () => (await committed()) === 2);
    await delivery.stop();
    expect(taken(ops)).toEqual(['f1:1 firing', 'f1:2 resolved']);
    expect(
      new Set(ops.requests.slice(0, 4).map((one) => one.headers['millrace-delivery'])).size,
      'one id for all tries',
    ).toBe(1);
    expect(await alerting.deliveries()).toContain('ops delivered 4 f1:1');
  });

  it('what a receiver holds up waits in Kafka, not in memory', async () => {
    let busy = true;
    const told = { ops: 0, team: 0 };
    const sender: Sender = {
      async send({ receiver }) {
        if (receiver === 'ops' && busy) return { kind: 'again', reason: 'busy', afterMs: null };
        told[receiver === 'ops' ? 'ops' : 'team'] += 1;
        return { kind: 'delivered' };
      },
    };
    for (let n = 0; n < 180; n++) await alerting.append([firing(n, { severity: 'warning' })]);
    const delivery = alerting.deliver({ sender });
    await until('team has some', () => told.team >= 64);
    await wall.sleep(500);
    expect(told.team).toBeLessThan(165);
    expect(await committed()).toBeNull();
    busy = false;
    await until('all is committed', async () => (await committed()) === 180);
    await delivery.stop();
    expect(told).toEqual({ ops: 180, team: 180 });
  });

  it('a receiver that says no is given up, with the reason', async () => {
    ops.answers.push(...Array.from({ length: 3 }, () => ({ status: 400, body: 'no such channel' })));
    await alerting.append([firing(1)]);
    await alerting.append([firing(2)]);
    const delivery = alerting.deliver();
    await until('both have ended', async () => (await committed()) === 2);
    await delivery.stop();
    expect(await alerting.deliveries()).toEqual(['ops delivered 1 f2:1', 'ops refused 3 f1:1']);
    const [row] = await warehouse.query<{ detail: string }>(
      `SELECT detail FROM ${alerting.project.prefix}_deliveries FINAL WHERE status = 'refused'`,
    );
    expect(row?.detail).toBe('It answered 400: no such channel');
  });

  it('a receiver that is never there is given up in the end', async () => {
    ops.answers.push(...Array.from({ length: 50 }, () => ({ status: 503 })));
    await alerting.append([firing(1)]);
    const delivery = alerting.deliver({
      limits: { firstPauseMs: 10, longestPauseMs: 10, giveUpAfter: 100 },
    });
    await until('it has ended', async () => (await committed()) === 1);
    await delivery.stop();
    expect((await alerting.deliveries())[0]).toMatch(/^ops refused \d+ f1:1$/);
  });

  it('leaves out what is silenced, for as long as it is', async () => {
    const { prefix } = alerting.project;
    const silence = {
      id: 's1',
      rule: '',
      model: 'late',
      subject: 'delay',
      until: Date.now() + 60_000,
      by: 'ada',
      reason: 'known',
    };
    await writeSilence(warehouse, prefix, silence, Date.now());
    expect(await readSilences(warehouse, prefix, Date.now())).toEqual([silence]);
    const delivery = alerting.deliver();
    await alerting.append([firing(1, { subject: 'delay' }), firing(2, { subject: 'distance' })]);
    await alerting.append([firing(3, { subject: 'delay' })]);
    await until('both have ended', async () => (await committed()) === 3);
    await writeSilence(warehouse, prefix, { ...silence, until: Date.now() - 1 }, Date.now() + 1);
    expect(await readSilences(warehouse, prefix, Date.now())).toEqual([]);
    await alerting.append([firing(4, { subject: 'delay' })]);
    await until('the last has ended', async () => (await committed()) === 4);
    await delivery.stop();
    expect(taken(ops)).toEqual(['f2:1 firing', 'f4:1 firing']);
    expect(await alerting.deliveries()).toEqual([
      'ops delivered 1 f2:1',
      'ops delivered 1 f4:1',
      'ops silenced 0 f3:1',
    ]);
  });

  it('a change that is in the log twice is told once', async () => {
    const { kafka, codecs, project } = alerting;
    // Two processes judged the same tick; the second had more to say.
    for (const together of [[firing(1)], [firing(1), firing(2)]]) {
      const producer = await kafka.producer();
      await producer.send(
        together.map((one, index) => ({
          topic: topics.alerts(project.prefix),
          partition: 0,
          key: null,
          value: codecs.alerts.encode(one),
          headers: { [headers.together]: `${index}/${together.length}` },
        })),
      );
    }
    const delivery = alerting.deliver();
    await until('all is committed', async () => (await committed()) === 3);
    await delivery.stop();
    const ids = ops.requests.flatMap(({ body }) =>
      (JSON.parse(body) as { alerts: Alert[] }).alerts.map(({ id }) => id),
    );
    expect(ids).toEqual(['f1:1', 'f2:1']);
  });

  it('goes on where it was, and repeats nothing that ended', async () => {
    await alerting.append([firing(1)]);
    const first = alerting.deliver();
    await until('it is committed', async () => (await committed()) === 1);
    await first.stop();
    await alerting.append([firing(2)]);
    const second = alerting.deliver();
    await until('the next is committed', async () => (await committed()) === 2);
    await second.stop();
    expect(ops.requests).toHaveLength(2);
  });

  it("without Kafka's offset the table of deliveries says what has ended", async () => {
    await alerting.append([firing(1)]);
    const first = alerting.deliver();
    await until('it is committed', async () => (await committed()) === 1);
    await first.stop();
    const admin = await alerting.kafka.admin();
    await admin.deleteGroups([groups.delivery(alerting.project.prefix)]);
    const second = alerting.deliver();
    await until('it is committed again', async () => (await committed()) === 1);
    await second.stop();
    expect(ops.requests).toHaveLength(1);
  });

  it('without receivers it makes no noise, and tells nobody of the past when one comes', async () => {
    const quiet = await Alerting.create(broker.kafka(), warehouse, {
      receivers: { off: '' },
      routes: [{ severities: ['page'], rules: [], receivers: ['off'] }],
    });
    await quiet.append([firing(1)]);
    const delivery = quiet.deliver();
    const at = async () => {
      const { prefix } = quiet.project;
      return (await (await quiet.kafka.admin()).committed(groups.delivery(prefix), topics.alerts(prefix)))[0];
    };
    await until('it is committed', async () => (await at()) === 1);
    await delivery.stop();
    expect(await quiet.deliveries()).toEqual([]);
    expect(quiet.failures).toEqual([]);
  });

  it('alerts go out while ClickHouse is away; their end is written down when it is back', async () => {
    let away = true;
    const refuse = () => Promise.reject(new WarehouseError('unreachable', 'away', {}));
    const flaky: Pick<Warehouse, 'query' | 'insert'> = {
      query: (sql, parameters) => (away ? refuse() : warehouse.query(sql, parameters)),
      insert: (table, rows, options) => (away ? refuse() : warehouse.insert(table, rows, options)),
    };
    await alerting.append([firing(1)]);
    const delivery = alerting.deliver({ warehouse: flaky });
    await until('it was told', () => ops.requests.length === 1);
    await wall.sleep(100);
    expect(await committed()).toBeNull();
    away = false;
    await until('it is committed', async () => (await committed()) === 1);
    await delivery.stop();
    expect(ops.requests).toHaveLength(1);
    expect(await alerting.deliveries()).toEqual(['ops delivered 1 f1:1']);
  });
});

describe('a process that dies between telling and writing down', () => {
  it('is followed by one that tells the same under the same id', async () => {
    await alerting.append([firing(1), firing(2)]);
    await alerting.append([firing(3)]);
    const kafka = broker.kafka();
    const stuck: Pick<Warehouse, 'query' | 'insert'> = {
      query: (sql, parameters) => warehouse.query(sql, parameters),
      // It dies here: the receiver has answered, nothing says so.
      insert: () => new Promise(() => {}),
    };
    alerting.deliver({ kafka, warehouse: stuck });
    await until('it was told', () => ops.requests.length === 1);
    broker.kill(kafka);
    const second = alerting.deliver({ kafka: broker.kafka() });
    await until('all is committed', async () => (await committed()) === 3);
    await second.stop();
    expect(ops.requests).toHaveLength(3);
    expect(taken(ops)).toEqual(['f1:1 firing', 'f2:1 firing', 'f3:1 firing']);
  });
});
