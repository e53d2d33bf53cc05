import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { verifyDelivery } from '../../infrastructure/alerting/signature.ts';
import { isTold } from '../../models/alerting/deliveries.ts';
import { evaluateAlerts } from '../../monitoring/alerts/evaluate.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { groups, tables, topics } from '../../schemas/names.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { measure, tickOf } from '../models/alerting/fixtures.ts';
import { Flights } from '../scenarios/flights.ts';
import { testStack } from '../stack.ts';

const SECRET = 'known to two';

/** At its nth request the receiver kills who sent it: before it answers, or at the moment it has answered. */
const KILLS: ReadonlyMap<number, 'unanswered' | 'answered'> = new Map([
  [1, 'unanswered'],
  [3, 'answered'],
  [5, 'unanswered'],
]);

let flights: Flights;
let sender: ChildProcess | null = null;
let requests = 0;
let repeats = 0;
let unsigned = 0;
let dying: Promise<unknown> = Promise.resolve();
/** What a receiver keeps that drops repeats by delivery id. */
const deliveries = new Set<string>();
const taken: string[] = [];

const receiver = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    requests += 1;
    const body = Buffer.concat(chunks);
    const header = (name: string) => String(request.headers[name] ?? '');
    const [timestamp, signature] = [header('millrace-timestamp'), header('millrace-signature')];
    if (!verifyDelivery({ secret: SECRET, body, timestamp, signature })) unsigned += 1;
    const id = header('millrace-delivery');
    if (deliveries.has(id)) repeats += 1;
    else {
      deliveries.add(id);
      const { alerts } = JSON.parse(body.toString()) as { alerts: Alert[] };
      taken.push(...alerts.map((one) => `${one.id} ${one.state}`));
    }
    const kill = KILLS.get(requests);
    if (kill !== 'unanswered') response.writeHead(200).end();
    if (kill !== undefined && sender !== null) {
      const killed = sender;
      dying = new Promise((gone) => killed.once('exit', gone));
      killed.kill('SIGKILL');
    }
  });
});

beforeAll(async () => {
  const stack = await testStack();
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
  const { port } = receiver.address() as AddressInfo;
  vi.stubEnv('MILLRACE_WEBHOOK_URL', `http://127.0.0.1:${port}/alerts`);
  vi.stubEnv('MILLRACE_WEBHOOK_SECRET', SECRET);
  vi.stubEnv('MILLRACE_ALLOW_PRIVATE', `127.0.0.1:${port}`);
  flights = new Flights(stack);
  await Promise.all([flights.createTopics(), flights.createTables()]);
});

afterAll(async () => {
  await flights?.remove();
  receiver.closeAllConnections();
  receiver.close();
  vi.unstubAllEnvs();
});

/** Features that drift on some days, and one that does so on all. */
function drifts(window: number): Measure[] {
  return Array.from({ length: 6 }, (_, n) =>
    measure(window, 0.4, {
      kind: 'drift',
      statistic: 'psi',
      model: 'late_arrival',
      subject: `origin.feature_${n}`,
      fired: n === 0 || (window + n) % 4 === 0,
    }),
  );
}

it('a process killed between telling and writing down: a receiver that drops repeats sees each change once', {
  timeout: 170_000,
}, async () => {
  const { project, platform } = flights;
  const { kafka, warehouse, clock } = platform;
  const codecs = await platform.codecs();
  for (let window = 0; window < 8; window++) {
    const measures = drifts(window);
    const iso = (time: number) => new Date(time).toISOString();
    await warehouse.insert(
      tables.measures(project.prefix),
      measures.map((one) => ({
        ...one,
        from: iso(one.from),
        to: iso(one.to),
        tick: iso(one.tick),
        at: iso(clock.now()),
      })),
      { token: `tick ${window}` },
    );
    // Twice, as a monitoring that came back would.
    for (let time = 0; time < 2; time++)
      await evaluateAlerts({ project, kafka, warehouse, codecs, clock }, tickOf(window), measures);
  }
  const log = new AlertLog({ kafka, codec: codecs.alerts, prefix: project.prefix });
  await log.catchUp();
  const told = log.changes().filter(isTold);
  expect(told.length).toBeGreaterThan(10);

  const admin = await kafka.admin();
  const topic = topics.alerts(project.prefix);
  const end = (await admin.offsets(topic))[0]?.end;
  try {
    for (let kills = 0; kills <= KILLS.size; kills++) {
      sender = await flights.start(['delivery']);
      const until = Date.now() + 40_000;
      for (;;) {
        const done = (await admin.committed(groups.delivery(project.prefix), topic))[0] === end;
        if (done || sender.signalCode !== null) break;
        if (Date.now() > until) throw new Error(`stuck after ${kills} kills and ${requests} requests`);
        await clock.sleep(50);
      }
      await dying;
    }
  } finally {
    await admin.close();
  }

  expect(taken.sort()).toEqual(told.map(({ id, state }) => `${id} ${state}`).sort());
  expect(repeats, 'those that were not answered came again').toBeGreaterThanOrEqual(2);
  expect(unsigned).toBe(0);
  const rows = await warehouse.query<{ id: string; status: string }>(
    `SELECT id, status FROM ${tables.deliveries(project.prefix)} FINAL`,
  );
  expect(new Set(rows.map(({ id }) => id))).toEqual(deliveries);
  expect(rows.every(({ status }) => status === 'delivered')).toBe(true);
});
