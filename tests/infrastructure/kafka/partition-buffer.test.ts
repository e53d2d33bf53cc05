import { describe, expect, it } from 'vitest';
import {
  acceptFetched,
  bufferPartition,
  seekPartition,
  takeRecords,
} from '../../../infrastructure/kafka/partition-buffer.ts';
import { encodeBatch } from '../../../infrastructure/kafka/record-batch.ts';

const place = { topic: 't', partition: 0 };

/** What a fetch from `offset` brings: three records, and more behind them. */
function fetched(offset: number) {
  const records = [0, 1, 2].map((i) => ({ ...place, key: null, value: Buffer.from(`v${offset + i}`) }));
  const recordSet = encodeBatch(records, { producerId: 1, producerEpoch: 0, baseSequence: 0 }, 1_000);
  recordSet.writeBigInt64BE(BigInt(offset), 0);
  return { ...place, errorCode: 0, end: 1_000, aborted: [], recordSet };
}

describe('what is buffered of a partition', () => {
  it('is handed out once and in order, and is not kept after that, though the buffer never runs empty', () => {
    const buffer = bufferPartition(place, 0);
    const seen: number[] = [];
    for (let next = 0; next < 300; next += 3) {
      expect(acceptFetched(buffer, fetched(next))).toBe(true);
      seen.push(...takeRecords(buffer, next === 0 ? 1 : 3).map(({ offset }) => offset));
      expect(buffer.records.length).toBeLessThanOrEqual(6);
      expect(buffer.bytes).toBeGreaterThan(0);
    }
    expect(seen).toEqual(Array.from({ length: 298 }, (_, i) => i));
    expect(takeRecords(buffer, 2).map(({ offset }) => offset)).toEqual([298, 299]);
    expect([buffer.records.length, buffer.head, buffer.bytes]).toEqual([0, 0, 0]);
  });

  it('is forgotten at a seek', () => {
    const buffer = bufferPartition(place, 0);
    acceptFetched(buffer, fetched(0));
    seekPartition(buffer, 2);
    expect([buffer.records.length, buffer.next, buffer.end, buffer.epoch]).toEqual([0, 2, null, 1]);
    acceptFetched(buffer, fetched(0));
    expect(takeRecords(buffer, 1).map(({ offset }) => offset)).toEqual([2]);
  });
});
