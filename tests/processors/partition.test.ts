import { describe, expect, it } from 'vitest';
import { murmur2, partitionOf } from '../../processors/partition.ts';

const utf8 = new TextEncoder();

describe('partitionOf', () => {
  // Vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %j as Kafka does', (text, hash) => {
    expect(murmur2(utf8.encode(text))).toBe(hash);
  });

  it('agrees with kafkajs on text of every kind', async () => {
    const { Partitioners } = await import('kafkajs');
    const partitioner = Partitioners.DefaultPartitioner();
    const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({
      partitionErrorCode: 0,
      partitionId,
      leader: 1,
      replicas: [1],
      isr: [1],
    }));
    for (const key of [
      '',
      'ORD',
      'ORD|LGA',
      'München',
      '東京',
      '🛫 to 🛬',
      'x'.repeat(1000),
      'é'.repeat(999),
    ]) {
      const wanted = partitioner({ topic: 't', partitionMetadata, message: { key, value: null } });
      expect(partitionOf(key, 7), key).toBe(wanted);
      expect(partitionOf(utf8.encode(key), 7), key).toBe(wanted);
    }
  });
});
