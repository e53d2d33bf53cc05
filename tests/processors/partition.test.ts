import { describe, expect, it } from 'vitest';
import { hash53, murmur2, partitionOf } from '../../processors/partition.ts';

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

describe('hash53', () => {
  it('is a fixed function of the text', () => {
    expect(hash53('')).toBe(3338908027751811);
    expect(hash53('merchant-1')).toBe(hash53(['merchant', '1'].join('-')));
    expect(hash53('merchant-1')).not.toBe(hash53('merchant-2'));
  });

  it('sets each of its 53 bits half of the time, also for texts that differ in one digit', () => {
    const ones = new Array<number>(53).fill(0);
    const n = 20_000;
    for (let k = 0; k < n; k += 1) {
      const hash = hash53(`m${k}`);
      expect(Number.isSafeInteger(hash) && hash >= 0 && hash < 2 ** 53).toBe(true);
      for (let bit = 0; bit < 53; bit += 1)
        if (Math.floor(hash / 2 ** bit) % 2 === 1) ones[bit] = (ones[bit] as number) + 1;
    }
    // Five standard errors of a fair coin.
    for (const count of ones) expect(Math.abs(count / n - 0.5)).toBeLessThan(2.5 / Math.sqrt(n));
  });
});
