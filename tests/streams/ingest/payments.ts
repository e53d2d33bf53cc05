import { randomUUID } from 'node:crypto';
import type { Kafka, KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { askAgain } from '../../../infrastructure/kafka/retry.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import type { OnlineStore } from '../../../infrastructure/redis/port.ts';
import { wallClock } from '../../../platform/platform.ts';
import type { ValidatedEvent } from '../../../schemas/event.ts';
import { rawTopicNamed, topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import type { DeadLetter } from '../../../schemas/records/dead-letter.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { createIngest } from '../../../streams/ingest/ingest.ts';
import { type Codecs, openCodecs } from '../../../streams/runtime/codecs.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { load } from '../../config/project.ts';
import { listening, type Told } from '../telemetry.ts';

const FILES = {
  'project.yaml': `name: payments
sources:
  - source: payments
    key: card
    partitions: 1
    out_of_orderness: 5s
    format:
      json:
        id: id
        type: {constant: payment}
        time: {path: at, unit: iso}
    fields: {card: string, merchant: string, note: string, amount: double, credit_limit: int, due: timestamp}
    events:
      payment: {required: [card]}
`,
  'views/card.yaml': `view: card
entity: [card]
resolution: 1s
features:
  - {name: payments, aggregation: count, windows: [1m]}
`,
  'views/pair.yaml': `view: pair
entity: [card, merchant]
resolution: 1s
features:
  - {name: spent, aggregation: sum, of: amount, scale: 100, range: [0, 10000], windows: [1m]}
  - {name: limit, aggregation: last, of: credit_limit, scale: 1, windows: [1m]}
`,
};

/** Payments as JSON, under a prefix of their own. */
export function paymentsProject(partitions = 1): Project {
  return load(FILES, { prefix: `test-${randomUUID().slice(0, 8)}`, partitions });
}

/** The same, from a topic that a team has already. */
export function paymentsFrom(topic: string): Project {
  const project = FILES['project.yaml'].replace('    key: card', `    topic: ${topic}\n    key: card`);
  return load({ ...FILES, 'project.yaml': project }, { prefix: `test-${randomUUID().slice(0, 8)}` });
}

/** A good payment of now. */
export function payment(id: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    id,
    at: new Date().toISOString(),
    card: 'c1',
    merchant: 'm1',
    amount: 10,
    ...more,
  });
}

/** Ingest, running over payments. */
export interface Running {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly telemetry: Told;
  readonly raw: string;
  /** To partition 0. */
  send(...values: ReadonlyArray<string | Uint8Array>): Promise<void>;
  sendTo(partition: number, ...values: ReadonlyArray<string | Uint8Array>): Promise<void>;
  /** Waits until so many raw records were accepted or refused, and answers with both; fails where ingest ended. */
  worked(records: number): Promise<{ accepted: ValidatedEvent[]; refused: DeadLetter[] }>;
  /** Ends it, and throws what it ended with. */
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly project?: Project;
  readonly store?: OnlineStore;
  readonly telemetry?: Told;
}

const WAIT_MS = 30_000;

export async function runPayments(kafka: Kafka, options: RunOptions = {}): Promise<Running> {
  const project = options.project ?? paymentsProject();
  const store = options.store ?? createMemoryStore();
  const telemetry = options.telemetry ?? listening();
  const codecs = await openCodecs(project, createMemoryRegistry());
  await applyProject({ project, kafka, declared: [] });
  const stopping = new AbortController();
  let ended: unknown = null;
  const running = createIngest({ project, kafka, store, codecs, clock: wallClock, telemetry })
    .run(stopping.signal)
    .catch((error: unknown) => {
      ended = error;
    });
  const raw = rawTopicNamed(project, 'payments');
  async function sendTo(partition: number, ...values: ReadonlyArray<string | Uint8Array>): Promise<void> {
    const producer = await kafka.producer();
    const key = Buffer.from('c1');
    await producer.send(values.map((value) => ({ topic: raw, partition, key, value: Buffer.from(value) })));
    await producer.close();
  }
  const valuesOf = async (topic: string) =>
    (await askAgain(() => readTails(kafka, topic, 1e6)))
      .flat()
      .filter((one): one is KafkaRecord & { value: Uint8Array } => one.value !== null);
  return {
    project,
    kafka,
    store,
    codecs,
    telemetry,
    raw,
    send: (...values) => sendTo(0, ...values),
    sendTo,
    async worked(records) {
      for (const deadline = Date.now() + WAIT_MS; ; ) {
        const validated = await valuesOf(topics.validated(project.prefix, 'payments'));
        const letters = await valuesOf(topics.deadLetters(project.prefix, 'payments'));
        if (validated.length + letters.length >= records)
          return {
            accepted: validated.map(({ value }) => codecs.validated('payments').decode(value)),
            refused: letters.map(({ value }) => codecs.deadLetters.decode(value)),
          };
        if (ended !== null) throw ended;
        if (Date.now() > deadline)
          throw new Error(`only ${validated.length + letters.length} of ${records} records were worked`);
        await wallClock.sleep(20);
      }
    },
    async stop() {
      stopping.abort();
      await running;
      if (ended !== null) throw ended;
    },
  };
}
