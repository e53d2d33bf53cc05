import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, isConnectionFailure, kafkaError } from './cluster.ts';
import type { Unreadable } from './decode-batch.ts';
import { KafkaError } from './errors.ts';
import { fairShare } from './fair-share.ts';
import { fetch } from './fetch.ts';
import { findOffsets } from './offsets.ts';
import {
  acceptFetched,
  bufferPartition,
  keyOf,
  type PartitionBuffer,
  placeOf,
  seekPartition,
  takeRecords,
} from './partition-buffer.ts';
import type { ConsumerOptions, PartitionBatch, Position, TopicPartition } from './port.ts';
import { CODES, PASSING, ProtocolError } from './protocol-errors.ts';

/** Failing for longer than this, a fetch loop gives up and `poll` throws. */
const GIVE_UP_MS = 60_000;
/** While so many records lie here that nobody has taken yet, the next fetch waits, so that it brings more than a few: at most so long. */
const GATHER_FROM = 100;
const GATHER_MS = 10;

export interface Taken {
  readonly batches: PartitionBatch[];
  readonly cut: Array<TopicPartition & { start: number }>;
  readonly atEnd: TopicPartition[];
}

/**
 * Keeps a bounded buffer of records for each of a set of partitions: one loop a broker, with one fetch in flight
 * for all its partitions that have room. Nothing is ever reset silently: a position that the log does not hold is
 * reported as cut until somebody seeks.
 */
export class Fetcher {
  readonly #cluster: Cluster;
  readonly #maxBufferedBytes: number;
  readonly #unreadable: Unreadable;
  readonly #waitsForMissing: boolean;
  #buffers = new Map<string, PartitionBuffer>();
  /** Counts assignments and moves of leaders: loops of an older one end. */
  #run = 0;
  #leaders: ReadonlySet<number> = new Set();
  /** By broker: since when its fetches fail. */
  readonly #failingSince = new Map<number, number>();
  readonly #loops = new Set<Promise<void>>();
  #failure: KafkaError | null = null;
  #first = 0;
  #wakeTaker: () => void = () => {};
  /** Of the loops that let records gather. */
  readonly #gathering = new Set<() => void>();
  #wakeLoops: () => void = () => {};
  #roomMade: Promise<void> = Promise.resolve();

  constructor(
    cluster: Cluster,
    maxBufferedBytes: number,
    { unreadable = 'fail', missing = 'fail' }: Pick<ConsumerOptions, 'unreadable' | 'missing'> = {},
  ) {
    this.#cluster = cluster;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#unreadable = unreadable;
    this.#waitsForMissing = missing === 'wait';
    this.#renewRoom();
  }

  #renewRoom(): void {
    this.#roomMade = new Promise((resolve) => {
      this.#wakeLoops = resolve;
    });
  }

  /** Wakes who waits in `wait`, and the loops that wait for room. */
  wake(): void {
    this.#wakeTaker();
    this.#endGathering();
    this.#wakeLoops();
    this.#renewRoom();
  }

  #endGathering(): void {
    for (const end of this.#gathering) end();
    this.#gathering.clear();
  }

  /** Until a poll takes what lies here, or a little while: a fetch costs the broker the same for one record and for a thousand. */
  #gather(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#gathering.delete(end);
        resolve();
      }, GATHER_MS);
      const end = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#gathering.add(end);
    });
  }

  /** Drops everything buffered. */
  stop(): void {
    this.#run++;
    this.#buffers = new Map();
    this.wake();
  }

  async stopped(): Promise<void> {
    await Promise.allSettled(this.#loops);
  }

  /** Holds exactly these partitions from now on. Throws KafkaError where their positions cannot be found. */
  async assign(places: readonly TopicPartition[], positions: readonly Position[]): Promise<void> {
    this.stop();
    const run = this.#run;
    const offsets = await this.#resolve(places, positions);
    if (run !== this.#run) return;
    this.#failure = null;
    this.#failingSince.clear();
    for (const [i, place] of places.entries()) {
      this.#buffers.set(keyOf(place), bufferPartition(place, offsets[i] ?? 0));
    }
    this.#start(run);
  }

  assignment(): TopicPartition[] {
    return [...this.#buffers.values()].map(placeOf);
  }

  /** The next offset to fetch of an assigned partition, where it is `end` or later and nothing is buffered; null elsewhere. */
  drainedTo(place: TopicPartition, end: number): number | null {
    const buffer = this.#buffers.get(keyOf(place));
    return buffer !== undefined && buffer.head === buffer.records.length && buffer.next >= end
      ? buffer.next
      : null;
  }

  /** Ends of any partitions as the broker knows them now, open transactions included. */
  ends(places: readonly TopicPartition[]): Promise<number[]> {
    return findOffsets(this.#cluster, places, 'latest', 'all');
  }

  seek(place: TopicPartition, offset: number): void {
    const buffer = this.#buffers.get(keyOf(place));
    if (buffer === undefined) return;
    seekPartition(buffer, offset);
    this.wake();
  }

  setPaused(places: readonly TopicPartition[], paused: boolean): void {
    for (const place of places) {
      const buffer = this.#buffers.get(keyOf(place));
      if (buffer !== undefined) buffer.paused = paused;
    }
    if (!paused) this.wake();
  }

  /** Hands out what is buffered, `max` records at most. Throws where fetching has failed for good. */
  poll(max: number): Taken {
    if (this.#failure !== null) throw this.#failure;
    this.#endGathering();
    const all = [...this.#buffers.values()];
    // Another partition leads each time, so that none waits for ever where there are more than records in a poll.
    const first = all.length === 0 ? 0 : this.#first++ % all.length;
    const order = first === 0 ? all : [...all.slice(first), ...all.slice(0, first)];
    const available = order.map((buffer) => (buffer.paused ? 0 : buffer.records.length - buffer.head));
    const shares = fairShare(available, max);
    const taken: Taken = { batches: [], cut: [], atEnd: [] };
    let room = false;
    for (const [i, buffer] of order.entries()) {
      const count = shares[i] ?? 0;
      if (count > 0) {
        room ||= buffer.bytes >= this.#maxBufferedBytes;
        taken.batches.push({
          ...placeOf(buffer),
          records: takeRecords(buffer, count),
          highWatermark: buffer.end ?? 0,
        });
      }
      if (buffer.cutAt !== null && buffer.head === buffer.records.length) {
        taken.cut.push({ ...placeOf(buffer), start: buffer.cutAt });
      } else if (buffer.head === buffer.records.length && buffer.end !== null && buffer.next >= buffer.end) {
        taken.atEnd.push(placeOf(buffer));
      }
    }
    if (room) {
      this.#wakeLoops();
      this.#renewRoom();
    }
    return taken;
  }

  /** Until something is there to take or changes, or `ms` have passed. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeTaker = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  fail(error: KafkaError): void {
    this.#failure = error;
    this.wake();
  }

  async #resolve(places: readonly TopicPartition[], positions: readonly Position[]): Promise<number[]> {
    const offsets = positions.map((position) => (typeof position === 'number' ? position : 0));
    for (const which of ['earliest', 'latest'] as const) {
      const asked = places.flatMap((place, i) => (positions[i] === which ? [{ ...place, i }] : []));
      const found = await findOffsets(this.#cluster, asked, which);
      for (const [k, { i }] of asked.entries()) offsets[i] = found[k] ?? 0;
    }
    return offsets;
  }

  /** A loop for each broker that leads any of the partitions. */
  #start(run: number): void {
    this.#leaders = this.#leadersNow();
    for (const nodeId of this.#leaders) {
      const loop: Promise<void> = this.#loop(run, nodeId)
        .catch((error: unknown) =>
          this.fail(kafkaError(error, 'reading from Kafka failed', 'request_failed')),
        )
        .finally(() => this.#loops.delete(loop));
      this.#loops.add(loop);
    }
  }

  #leadersNow(): Set<number> {
    return new Set([...this.#buffers.values()].map((buffer) => this.#leaderOf(buffer)));
  }

  #leadersMoved(): boolean {
    const now = this.#leadersNow();
    return now.size !== this.#leaders.size || [...now].some((nodeId) => !this.#leaders.has(nodeId));
  }

  #leaderOf(buffer: PartitionBuffer): number {
    const partitions = this.#cluster.findTopicPartitionMetadata(buffer.topic);
    return partitions.find((p) => p.partitionId === buffer.partition)?.leader ?? -1;
  }

  /** Fetches from one broker until the assignment ends, or the leaders change: then loops are started anew. */
  async #loop(run: number, nodeId: number): Promise<void> {
    for (;;) {
      if (run !== this.#run) return;
      const from = [...this.#buffers.values()].filter(
        (buffer) =>
          buffer.cutAt === null && buffer.bytes < this.#maxBufferedBytes && this.#leaderOf(buffer) === nodeId,
      );
      if (from.length === 0) {
        await this.#roomMade;
        continue;
      }
      const epochs = from.map((buffer) => buffer.epoch);
      let trouble: unknown = null;
      try {
        const broker = await this.#cluster.findBroker({ nodeId });
        const fetched = await fetch(
          broker,
          from.map(({ topic, partition, next }) => ({ topic, partition, offset: next })),
        );
        if (run !== this.#run) return;
        const byKey = new Map(fetched.map((answer) => [keyOf(answer), answer]));
        let news = false;
        for (const [i, buffer] of from.entries()) {
          const answer = byKey.get(buffer.key);
          if (answer === undefined || buffer.epoch !== epochs[i]) continue;
          if (answer.errorCode === 0) news = acceptFetched(buffer, answer, this.#unreadable) || news;
          else if (answer.errorCode === CODES.OFFSET_OUT_OF_RANGE) await this.#cut(buffer);
          else trouble = troubleOf(buffer, answer.errorCode);
        }
        if (news) this.#wakeTaker();
        const untaken = from.reduce((sum, one) => sum + (one.paused ? 0 : one.records.length - one.head), 0);
        if (untaken >= GATHER_FROM) await this.#gather();
      } catch (error) {
        trouble = error;
      }
      if (run !== this.#run) return;
      if (trouble === null) {
        this.#failingSince.delete(nodeId);
        continue;
      }
      const now = Date.now();
      const failingSince = this.#failingSince.get(nodeId) ?? now;
      this.#failingSince.set(nodeId, failingSince);
      const waits =
        this.#waitsForMissing &&
        trouble instanceof ProtocolError &&
        trouble.protocolCode === CODES.UNKNOWN_TOPIC_OR_PARTITION;
      if (!isPassing(trouble) || (!waits && now - failingSince > GIVE_UP_MS)) {
        this.fail(kafkaError(trouble, 'reading from Kafka failed', 'request_failed'));
        return;
      }
      await sleep(Math.min(500, 20 + (now - failingSince) / 4));
      await this.#cluster.refreshMetadata().catch(() => {});
      if (run === this.#run && this.#leadersMoved()) {
        this.#run++;
        this.#start(this.#run);
        return;
      }
    }
  }

  async #cut(buffer: PartitionBuffer): Promise<void> {
    const { epoch } = buffer;
    const [start] = await findOffsets(this.#cluster, [buffer], 'earliest');
    if (buffer.epoch === epoch) buffer.cutAt = start ?? 0;
    this.#wakeTaker();
  }
}

/** What a fetch answered of one partition instead of records. */
const troubleOf = (place: TopicPartition, code: number) =>
  new ProtocolError(
    code,
    code !== CODES.TOPIC_AUTHORIZATION_FAILED,
    (type) => `${keyOf(place)} answers ${type}`,
  );

function isPassing(error: unknown): boolean {
  if (error instanceof KafkaError) return error.retriable;
  if (error instanceof ProtocolError)
    return PASSING.has(error.protocolCode) || error.protocolCode === CODES.CORRUPT_MESSAGE;
  return isConnectionFailure(error) || (error as { retriable?: boolean }).retriable === true;
}
