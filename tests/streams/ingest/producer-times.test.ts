import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { wallClock } from '../../../platform/platform.ts';
import { topics } from '../../../schemas/names.ts';
import { MINUTE } from '../../../schemas/time.ts';
import { applyProject, topicSpecs } from '../../../streams/apply/apply.ts';
import { createIngest } from '../../../streams/ingest/ingest.ts';
import { type Codecs, openCodecs } from '../../../streams/runtime/codecs.ts';
import { createTimeTopic, sendAt } from '../../infrastructure/kafka/foreign.ts';
import { testStack } from '../../stack.ts';
import { tripStart } from '../plane.ts';
import { listening } from '../telemetry.ts';

/** A broker, and what another team does on it. */
interface Team {
  readonly kafka: Kafka;
  createTimeTopic(name: string): Promise<void>;
  sendAt(topic: string, value: Uint8Array, producerTime: number): Promise<void>;
}

async function onTwin(): Promise<Team> {
  const broker = createMemoryBroker(wallClock);
  return {
    kafka: broker.kafka(),
    createTimeTopic: async (name) => broker.createTimeTopic(name, 1),
    sendAt: async (topic, value, producerTime) =>
      broker.appendAt([{ topic, partition: 0, key: Buffer.from('k'), value }], producerTime),
  };
}

async function onKafka(): Promise<Team> {
  const { kafka } = await testStack(['kafka']);
  const connections = { kafka: { brokers: kafka, tls: false, sasl: null } };
  return { kafka: createKafka(connections, { clientId: 'producer-times' }), createTimeTopic, sendAt };
}

/** The trips, whatever their time: nothing but arrival bounds it. */
function tripsProject() {
  const directory = fileURLToPath(new URL('../../simulation/project', import.meta.url));
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  const project = loadProject(directory, { environment: {}, prefix, partitions: 1 });
  return { ...project, sources: project.sources.map((source) => ({ ...source, maxFuture: null })) };
}

type Trips = ReturnType<typeof tripsProject>;

const rawOf = (project: Trips) => topics.raw(project.prefix, 'trips');

/** Sends events as their producers' clocks stamp them; each is as old as its clock says. */
async function sendEvents(
  { sendAt }: Team,
  project: Trips,
  codecs: Codecs,
  events: readonly [string, number][],
): Promise<void> {
  for (const [id, time] of events)
    await sendAt(rawOf(project), codecs.encodeRaw('trips', tripStart(id, time)), time);
}

/** Runs ingest until it has worked so many records; answers with the codes of those it refused, and what it told. */
async function ingestAll({ kafka }: Team, project: Trips, codecs: Codecs, records: number) {
  const telemetry = listening();
  const stop = new AbortController();
  const store = createMemoryStore();
  let worked = 0;
  const step = (_stream: string, name: string, _ms: number, count: number) => {
    if (name === 'work') worked += count;
  };
  const deps = { project, kafka, store, codecs, clock: wallClock, telemetry: { ...telemetry, step } };
  const running = createIngest(deps).run(stop.signal);
  for (const deadline = Date.now() + 30_000; worked < records && Date.now() < deadline; )
    await wallClock.sleep(50);
  stop.abort();
  await running;
  expect(worked).toBe(records);
  return telemetry;
}

/** The first test on Kafka starts it. */
const TIMEOUT_MS = 120_000;

describe.each([
  ['the twin', onTwin],
  ['Kafka', onKafka],
])('a raw topic that was made with CreateTime, on %s', (_name, connect) => {
  async function world<T>(work: (team: Team, project: Trips, codecs: Codecs) => Promise<T>): Promise<T> {
    const team = await connect();
    const project = tripsProject();
    try {
      await team.createTimeTopic(rawOf(project));
      return await work(team, project, await openCodecs(project, createMemoryRegistry()));
    } finally {
      const admin = await team.kafka.admin();
      await admin.deleteTopics(topicSpecs(project).map(({ name }) => name));
      await team.kafka.close();
    }
  }

  const events = (now: number): [string, number][] => [
    ['a', now],
    ['ahead', now + 50 * MINUTE],
    ['b', now],
    ['c', now],
  ];

  it(
    'after apply an event 50 minutes ahead makes nobody late',
    () =>
      world(async (team, project, codecs) => {
        const changes = await applyProject({ project, kafka: team.kafka, declared: [] });
        expect(changes.find(({ name }) => name === rawOf(project))?.action).toBe('update');
        await sendEvents(team, project, codecs, events(Date.now()));
        const { refusals, producerStamped } = await ingestAll(team, project, codecs, 4);
        expect(refusals).toEqual([]);
        expect(producerStamped).toEqual([]);
      }),
    TIMEOUT_MS,
  );

  it(
    'without apply it makes all others late, and ingest tells whose clock stamped them',
    () =>
      world(async (team, project, codecs) => {
        const admin = await team.kafka.admin();
        await admin.createTopics(topicSpecs(project));
        await sendEvents(team, project, codecs, events(Date.now()));
        const { refusals, producerStamped } = await ingestAll(team, project, codecs, 4);
        expect(refusals).toEqual(['late', 'late']);
        expect(producerStamped).toEqual(Array.from({ length: 4 }, () => `${rawOf(project)}:0`));
      }),
    TIMEOUT_MS,
  );
});
