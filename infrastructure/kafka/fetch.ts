import type { Buffer } from 'node:buffer';
import { type BrokerNode, request } from './cluster.ts';
import type { AbortedTransaction } from './decode-batch.ts';
import { Cursor, Writer } from './wire.ts';

/** Kafka's Fetch, version 11, without a fetch session. Only committed records are asked for. */

const FETCH = { key: 1, version: 11, name: 'Fetch' } as const;
const READ_COMMITTED = 1;

/** A fetch is answered as soon as there is anything; only where there is nothing it is held for so long. */
const MAX_WAIT_MS = 100;
const MAX_BYTES = 16_000_000;
const MAX_PARTITION_BYTES = 1_048_576;

export interface FetchFrom {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** End of what may be read: transactions still open are not part of it. */
  readonly end: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly recordSet: Buffer;
}

export function fetch(broker: BrokerNode, from: readonly FetchFrom[]): Promise<FetchedPartition[]> {
  const writer = new Writer()
    .int32(-1)
    .int32(MAX_WAIT_MS)
    .int32(1)
    .int32(MAX_BYTES)
    .int8(READ_COMMITTED)
    .int32(0)
    .int32(-1)
    .int32(from.length);
  // One entry a partition keeps their order, which is the order in which the broker fills the answer.
  for (const { topic, partition, offset } of from) {
    writer.text(topic).int32(1).int32(partition).int32(-1).int64(offset).int64(-1).int32(MAX_PARTITION_BYTES);
  }
  writer.int32(0).text('');
  return request(broker, FETCH, writer.done(), decodeFetch, MAX_WAIT_MS);
}

function decodeFetch(bytes: Buffer): FetchedPartition[] {
  const cursor = new Cursor(bytes, 10); // After throttle time, error code and session.
  const fetched: FetchedPartition[] = [];
  for (let topics = cursor.int32(); topics > 0; topics--) {
    const topic = cursor.text();
    for (let partitions = cursor.int32(); partitions > 0; partitions--) {
      const partition = cursor.int32();
      const errorCode = cursor.int16();
      const highWatermark = cursor.int64();
      const lastStable = cursor.int64();
      cursor.pos += 8; // Log start.
      const aborted: AbortedTransaction[] = [];
      for (let count = cursor.int32(); count > 0; count--) {
        aborted.push({ producerId: cursor.int64(), firstOffset: cursor.int64() });
      }
      cursor.pos += 4; // Preferred replica.
      const end = lastStable >= 0 ? lastStable : highWatermark;
      fetched.push({ topic, partition, errorCode, end, aborted, recordSet: cursor.block() });
    }
  }
  return fetched;
}
