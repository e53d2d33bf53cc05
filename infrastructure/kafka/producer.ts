import type { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connections } from '../../schemas/project.ts';
import {
  type BrokerNode,
  type ClientOptions,
  type Cluster,
  connect,
  createCluster,
  isConnectionFailure,
  kafkaError,
  PASSING_ERRORS,
  protocolError,
  REQUEST_TIMEOUT_MS,
  request,
  rootCause,
} from './cluster.ts';
import { KafkaError } from './errors.ts';
import type { OutgoingRecord, Producer } from './port.ts';
import { encodeBatch, recordSize } from './record-batch.ts';
import { Cursor, Writer } from './wire.ts';

const PRODUCE = { key: 0, version: 7, name: 'Produce' } as const;

/** A batch stays below the broker's default limit of 1 MB, and a request well below its 100 MB. */
const MAX_BATCH_BYTES = 900_000;
const MAX_ROUND_BYTES = 16_000_000;

/**
 * How long one send goes on trying, with the same batches under the same sequence numbers: the broker knows those it
 * has stored already, so trying again neither loses nor doubles any.
 */
const DELIVERY_MS = 60_000;

interface PartitionState {
  readonly topic: string;
  readonly partition: number;
  sequence: number;
}

interface Pending {
  readonly state: PartitionState;
  readonly batch: Buffer;
  readonly count: number;
}

/**
 * Idempotent producer: all records of a send go out together, one batch a partition (more where it is large), one
 * request a broker. Sends of one producer go one after another.
 */
export async function createProducer(kafka: Connections['kafka'], options: ClientOptions): Promise<Producer> {
  const cluster = createCluster(kafka, options);
  await connect(cluster, kafka, []);
  let producerId: number;
  let producerEpoch: number;
  try {
    ({ producerId, producerEpoch } = await identify(cluster));
  } catch (error) {
    await cluster.disconnect().catch(() => {});
    throw kafkaError(error, 'Kafka gave no producer id', 'request_failed');
  }
  const states = new Map<string, Map<number, PartitionState>>();
  let dead: KafkaError | null = null;
  let closed = false;
  let turn: Promise<unknown> = Promise.resolve();

  function stateOf(topic: string, partition: number): PartitionState {
    let partitions = states.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      states.set(topic, partitions);
    }
    let state = partitions.get(partition);
    if (state === undefined) {
      state = { topic, partition, sequence: 0 };
      partitions.set(partition, state);
    }
    return state;
  }

  /** Rounds of batches: at most one batch of a partition in each, since a request holds no more. */
  function encode(records: readonly OutgoingRecord[]): Pending[][] {
    const byPartition = new Map<PartitionState, OutgoingRecord[]>();
    for (const record of records) {
      const state = stateOf(record.topic, record.partition);
      const list = byPartition.get(state);
      if (list === undefined) byPartition.set(state, [record]);
      else list.push(record);
    }
    const rounds: Pending[][] = [];
    const sizes: number[] = [];
    const now = Date.now();
    for (const [state, list] of byPartition) {
      let round = 0;
      for (let from = 0; from < list.length; ) {
        let to = from;
        let size = 0;
        while (to < list.length) {
          size += recordSize(list[to] as OutgoingRecord);
          if (to > from && size > MAX_BATCH_BYTES) break;
          to++;
        }
        const part = from === 0 && to === list.length ? list : list.slice(from, to);
        const identity = { producerId, producerEpoch, baseSequence: state.sequence };
        const batch = encodeBatch(part, identity, now);
        state.sequence = (state.sequence + part.length) % 2 ** 31;
        while ((sizes[round] ?? 0) > MAX_ROUND_BYTES) round++;
        rounds[round] = [...(rounds[round] ?? []), { state, batch, count: part.length }];
        sizes[round] = (sizes[round] ?? 0) + batch.length;
        round++;
        from = to;
      }
    }
    return rounds;
  }

  /** Sends a round until every batch is acknowledged; answers with the least append time among them. */
  async function deliver(round: readonly Pending[]): Promise<number | null> {
    const deadline = Date.now() + DELIVERY_MS;
    let left = round;
    let stamped: number | null = null;
    for (let attempt = 0; ; attempt++) {
      const { refused, error, appendTime } = await attemptRound(cluster, left);
      stamped = earlier(stamped, appendTime);
      if (refused.length === 0) return stamped;
      if (closed || Date.now() > deadline || !isPassing(error)) throw error;
      left = refused;
      await sleep(Math.min(1_000, 20 * 2 ** attempt));
      await cluster.refreshMetadata().catch(() => {});
    }
  }

  async function send(records: readonly OutgoingRecord[]): Promise<number | null> {
    if (closed) throw new KafkaError('closed', 'the producer has been closed', { retriable: false });
    if (dead !== null) {
      throw new KafkaError('producer_dead', `this producer failed before (${dead.message}); make a new one`, {
        retriable: true,
        cause: dead,
      });
    }
    try {
      const topics = new Set<string>();
      for (const record of records) topics.add(record.topic);
      const fresh = [...topics].filter((topic) => !states.has(topic));
      if (fresh.length > 0) await cluster.addMultipleTargetTopics(fresh);
      let stamped: number | null = null;
      for (const round of encode(records)) stamped = earlier(stamped, await deliver(round));
      return stamped;
    } catch (error) {
      const topics = [...new Set(records.map((record) => record.topic))].join(', ');
      dead = kafkaError(error, `sending ${records.length} records to ${topics} failed`, 'send_failed');
      throw dead;
    }
  }

  return {
    send(records) {
      if (records.length === 0 && dead === null && !closed) return Promise.resolve(null);
      const sent = turn.then(() => send(records));
      turn = sent.catch(() => {});
      return sent;
    },
    async close() {
      closed = true;
      await turn;
      await cluster.disconnect().catch(() => {});
    },
  };
}

/** A producer id. A broker that has just started gives none for a second or two. */
async function identify(cluster: Cluster): Promise<{ producerId: number; producerEpoch: number }> {
  const deadline = Date.now() + DELIVERY_MS;
  for (;;) {
    try {
      const broker = await cluster.findControllerBroker();
      const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 60_000 });
      return { producerId: Number(producerId), producerEpoch };
    } catch (error) {
      if (rootCause(error).retriable !== true || Date.now() > deadline) throw error;
      await sleep(100);
      await cluster.refreshMetadata().catch(() => {});
    }
  }
}

class Refused extends Error {
  readonly protocolCode: number;
  readonly type: string;
  readonly retriable: boolean;

  constructor(pending: Pending, code: number) {
    const type = protocolError(code);
    const { topic, partition } = pending.state;
    super(`${topic}:${partition} refused a batch of ${pending.count} records with ${type}`);
    this.protocolCode = code;
    this.type = type;
    this.retriable = code !== 10 && code !== 18 && code !== 87;
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof Refused ? PASSING_ERRORS.has(error.protocolCode) : isConnectionFailure(error);
}

/**
 * One request to each broker. Answers which batches are not known to be stored, the worst reason, and the least append time of
 * those that were stored now.
 */
async function attemptRound(
  cluster: Cluster,
  round: readonly Pending[],
): Promise<{ refused: Pending[]; error: unknown; appendTime: number | null }> {
  const byLeader = new Map<number, Pending[]>();
  const refused: Pending[] = [];
  let error: unknown = null;
  const refuse = (pending: Pending, reason: unknown) => {
    refused.push(pending);
    if (error === null || isPassing(error)) error = reason;
  };
  for (const pending of round) {
    const { topic, partition } = pending.state;
    const leader = cluster.findTopicPartitionMetadata(topic).find((p) => p.partitionId === partition)?.leader;
    if (leader === undefined) refuse(pending, new Refused(pending, 3));
    else if (leader < 0) refuse(pending, new Refused(pending, 5));
    else byLeader.set(leader, [...(byLeader.get(leader) ?? []), pending]);
  }
  let appendTime: number | null = null;
  await Promise.all(
    [...byLeader].map(async ([nodeId, pendings]) => {
      let answers: Map<string, Produced>;
      try {
        answers = await produce(await cluster.findBroker({ nodeId }), pendings);
      } catch (reason) {
        for (const pending of pendings) refuse(pending, reason);
        return;
      }
      for (const pending of pendings) {
        const answer = answers.get(`${pending.state.topic}:${pending.state.partition}`);
        const code = answer?.code ?? 7;
        if (code === 0) appendTime = earlier(appendTime, answer?.appendTime ?? null);
        // A batch the broker has stored already, from an attempt whose answer was lost.
        else if (code !== 46) refuse(pending, new Refused(pending, code));
      }
    }),
  );
  return { refused, error, appendTime };
}

interface Produced {
  readonly code: number;
  /** Epoch ms; null where the topic keeps the producer's own times. */
  readonly appendTime: number | null;
}

function earlier(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

/** Answers by `topic:partition`. */
function produce(broker: BrokerNode, pendings: readonly Pending[]): Promise<Map<string, Produced>> {
  const byTopic = new Map<string, Pending[]>();
  for (const pending of pendings) {
    const list = byTopic.get(pending.state.topic);
    if (list === undefined) byTopic.set(pending.state.topic, [pending]);
    else list.push(pending);
  }
  const writer = new Writer().text(null).int16(-1).int32(REQUEST_TIMEOUT_MS).int32(byTopic.size);
  for (const [topic, list] of byTopic) {
    writer.text(topic).int32(list.length);
    for (const { state, batch } of list) writer.int32(state.partition).block(batch);
  }
  return request(broker, PRODUCE, writer.done(), decodeProduced);
}

function decodeProduced(bytes: Buffer): Map<string, Produced> {
  const cursor = new Cursor(bytes, 0);
  const produced = new Map<string, Produced>();
  for (let topics = cursor.int32(); topics > 0; topics--) {
    const topic = cursor.text();
    for (let partitions = cursor.int32(); partitions > 0; partitions--) {
      const partition = cursor.int32();
      const code = cursor.int16();
      cursor.pos += 8; // Base offset.
      const appendTime = cursor.int64();
      cursor.pos += 8; // Log start.
      produced.set(`${topic}:${partition}`, { code, appendTime: appendTime < 0 ? null : appendTime });
    }
  }
  return produced;
}
