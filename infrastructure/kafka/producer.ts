import { setTimeout as sleep } from 'node:timers/promises';
import type { Connections } from '../../schemas/project.ts';
import {
  type ClientOptions,
  type Cluster,
  connect,
  createCluster,
  isConnectionFailure,
  kafkaError,
  rootCause,
} from './cluster.ts';
import { KafkaError, RecordTooLarge } from './errors.ts';
import type { OutgoingRecord, Producer } from './port.ts';
import { attemptRound, earlier, isPassing, isTooLarge, type Pending, type Told } from './produce.ts';
import { encodeBatch, recordSize } from './record-batch.ts';

/**
 * A batch stays below the broker's default limit of 1 MB, and a request well below its 100 MB. Where a broker allows less, batches
 * and requests are cut further when it refuses them.
 */
const MAX_BATCH_BYTES = 900_000;
const MAX_ROUND_BYTES = 16_000_000;
/** A request of fewer bytes is not cut when its connection breaks. */
const MIN_ROUND_BYTES = 1_000_000;

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

  /** A batch of records of one partition, under its place in the producer's sequence. */
  function pendingOf(records: readonly OutgoingRecord[], baseSequence: number, now: number): Pending {
    const { topic, partition } = records[0] as OutgoingRecord;
    const batch = encodeBatch(records, { producerId, producerEpoch, baseSequence }, now);
    return { topic, partition, batch, records, baseSequence };
  }

  /** A batch that its topic does not take, as two: their records keep their places in the sequence. */
  function halves({ topic, partition, batch, records, baseSequence }: Pending): [Pending, Pending] {
    if (records.length < 2) throw new RecordTooLarge(topic, partition, batch.length);
    const half = records.length >> 1;
    const now = Date.now();
    return [
      pendingOf(records.slice(0, half), baseSequence, now),
      pendingOf(records.slice(half), (baseSequence + half) % 2 ** 31, now),
    ];
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
        const pending = pendingOf(part, state.sequence, now);
        state.sequence = (state.sequence + part.length) % 2 ** 31;
        while ((sizes[round] ?? 0) > MAX_ROUND_BYTES) round++;
        rounds[round] = [...(rounds[round] ?? []), pending];
        sizes[round] = (sizes[round] ?? 0) + pending.batch.length;
        round++;
        from = to;
      }
    }
    return rounds;
  }

  /** Sends a round until every batch is acknowledged; answers with the least append time among them. */
  async function deliver(round: readonly Pending[], told: Told | null): Promise<number | null> {
    const deadline = Date.now() + DELIVERY_MS;
    let left = round;
    let stamped: number | null = null;
    for (let attempt = 0; ; attempt++) {
      const { refused, appendTime } = await attemptRound(cluster, left, told);
      stamped = earlier(stamped, appendTime);
      if (refused.length === 0) return stamped;
      const error = refused.find(({ reason }) => !isPassing(reason) && !isTooLarge(reason))?.reason;
      if (error !== undefined) throw error;
      const large = refused.filter(({ reason }) => isTooLarge(reason)).map(({ pending }) => halves(pending));
      const others = refused.flatMap(({ pending, reason }) => (isTooLarge(reason) ? [] : [pending]));
      if (large.length > 0) {
        // A partition's second half is sent once its first is stored.
        stamped = earlier(stamped, await deliver([...others, ...large.map(([first]) => first)], told));
        return earlier(
          stamped,
          await deliver(
            large.map(([, second]) => second),
            told,
          ),
        );
      }
      if (closed || Date.now() > deadline) throw refused[0]?.reason;
      await sleep(Math.min(1_000, 20 * 2 ** attempt));
      await cluster.refreshMetadata().catch(() => {});
      const bytes = others.reduce((sum, { batch }) => sum + batch.length, 0);
      if (others.length > 1 && bytes > MIN_ROUND_BYTES && isConnectionFailure(refused[0]?.reason)) {
        // A broker that allows smaller requests than this one breaks the connection and says nothing.
        const half = others.length >> 1;
        stamped = earlier(stamped, await deliver(others.slice(0, half), told));
        return earlier(stamped, await deliver(others.slice(half), told));
      }
      left = others;
    }
  }

  async function send(records: readonly OutgoingRecord[], told: Told | null): Promise<number | null> {
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
      for (const round of encode(records)) stamped = earlier(stamped, await deliver(round, told));
      return stamped;
    } catch (error) {
      const topics = [...new Set(records.map((record) => record.topic))].join(', ');
      dead = kafkaError(error, `sending ${records.length} records to ${topics} failed`, 'send_failed');
      throw dead;
    }
  }

  function inTurn(records: readonly OutgoingRecord[], told: Told | null): Promise<number | null> {
    if (records.length === 0 && dead === null && !closed) return Promise.resolve(null);
    const sent = turn.then(() => send(records, told));
    turn = sent.catch(() => {});
    return sent;
  }

  return {
    send: (records) => inTurn(records, null),
    async place(records) {
      // The same object may be given twice; each copy is told its own place.
      const copies = records.map((record) => ({ ...record }));
      const offsets = new Map<OutgoingRecord, number>();
      await inTurn(copies, (record, offset) => void offsets.set(record, offset));
      return copies.map((record) => offsets.get(record) ?? null);
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
