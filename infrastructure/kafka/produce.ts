import type { Buffer } from 'node:buffer';
import {
  type BrokerNode,
  type Cluster,
  isConnectionFailure,
  REQUEST_TIMEOUT_MS,
  request,
} from './cluster.ts';
import type { OutgoingRecord } from './port.ts';
import { CODES, PASSING, ProtocolError } from './protocol-errors.ts';
import { Cursor, Writer } from './wire.ts';

const PRODUCE = { key: 0, version: 7, name: 'Produce' } as const;

/** A batch that its topic does not take, for its size. */
const TOO_LARGE: ReadonlySet<number> = new Set([CODES.MESSAGE_TOO_LARGE, CODES.RECORD_LIST_TOO_LARGE]);

/** A batch of one partition, encoded, with what it takes to cut it into smaller ones. */
export interface Pending {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
  readonly records: readonly OutgoingRecord[];
  readonly baseSequence: number;
}

/** A broker's refusal of a batch. */
class Refused extends ProtocolError {
  constructor({ topic, partition, records }: Pending, code: number) {
    super(
      code,
      !TOO_LARGE.has(code) && code !== CODES.INVALID_RECORD,
      (type) => `${topic}:${partition} refused a batch of ${records.length} records with ${type}`,
    );
  }
}

/** Hears where a record came to stand. */
export type Told = (record: OutgoingRecord, offset: number) => void;

/** Whether the same request may succeed later. */
export function isPassing(error: unknown): boolean {
  return error instanceof Refused ? PASSING.has(error.protocolCode) : isConnectionFailure(error);
}

export function isTooLarge(reason: unknown): boolean {
  return reason instanceof Refused && TOO_LARGE.has(reason.protocolCode);
}

/** A batch that is not known to be stored, and why. */
export interface RefusedBatch {
  readonly pending: Pending;
  readonly reason: unknown;
}

/**
 * One request to each broker. Answers which batches are not known to be stored, and the least append time of those that were stored
 * now.
 */
export async function attemptRound(
  cluster: Cluster,
  round: readonly Pending[],
  told: Told | null = null,
): Promise<{ refused: RefusedBatch[]; appendTime: number | null }> {
  const byLeader = new Map<number, Pending[]>();
  const refused: RefusedBatch[] = [];
  const refuse = (pending: Pending, reason: unknown) => void refused.push({ pending, reason });
  for (const pending of round) {
    const { topic, partition } = pending;
    const leader = cluster.findTopicPartitionMetadata(topic).find((p) => p.partitionId === partition)?.leader;
    if (leader === undefined) refuse(pending, new Refused(pending, CODES.UNKNOWN_TOPIC_OR_PARTITION));
    else if (leader < 0) refuse(pending, new Refused(pending, CODES.LEADER_NOT_AVAILABLE));
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
        const answer = answers.get(`${pending.topic}:${pending.partition}`);
        const code = answer?.code ?? CODES.REQUEST_TIMED_OUT;
        if (code === 0) {
          appendTime = earlier(appendTime, answer?.appendTime ?? null);
          if (told !== null) tell(told, pending, answer?.base ?? null);
        }
        // A batch the broker has stored already, from an attempt whose answer was lost.
        else if (code !== CODES.DUPLICATE_SEQUENCE_NUMBER) refuse(pending, new Refused(pending, code));
      }
    }),
  );
  return { refused, appendTime };
}

function tell(told: Told, { records }: Pending, base: number | null): void {
  if (base !== null) for (const [i, record] of records.entries()) told(record, base + i);
}

interface Produced {
  readonly code: number;
  /** Offset of the batch's first record; null where the broker does not say. */
  readonly base: number | null;
  /** Epoch ms; null where the topic keeps the producer's own times. */
  readonly appendTime: number | null;
}

/** The earlier of two times, where null is none. */
export function earlier(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

/** Answers by `topic:partition`. */
function produce(broker: BrokerNode, pendings: readonly Pending[]): Promise<Map<string, Produced>> {
  const byTopic = new Map<string, Pending[]>();
  for (const pending of pendings) {
    const list = byTopic.get(pending.topic);
    if (list === undefined) byTopic.set(pending.topic, [pending]);
    else list.push(pending);
  }
  const writer = new Writer().text(null).int16(-1).int32(REQUEST_TIMEOUT_MS).int32(byTopic.size);
  for (const [topic, list] of byTopic) {
    writer.text(topic).int32(list.length);
    for (const { partition, batch } of list) writer.int32(partition).block(batch);
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
      const base = cursor.int64();
      const appendTime = cursor.int64();
      cursor.pos += 8; // Log start.
      produced.set(`${topic}:${partition}`, {
        code,
        base: base < 0 ? null : base,
        appendTime: appendTime < 0 ? null : appendTime,
      });
    }
  }
  return produced;
}
