import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../config/durations.ts';
import { canonical, hash53, hashOf } from '../../config/hash.ts';
import { editDistance, nearest } from '../../config/nearest.ts';
import { zoneOffset } from '../../config/zones.ts';

describe('durations', () => {
  it('reads what a person writes', () => {
    expect(parseDuration('90s')).toBe(90_000);
    expect(parseDuration('13h15m')).toBe(47_700_000);
    expect(parseDuration('-10m')).toBe(-600_000);
    expect(parseDuration('20ms')).toBe(20);
    expect(parseDuration('0m')).toBe(0);
    for (const text of ['', '5', '5 m', '1w', '1.5h', 'm', '--1h', `${'9'.repeat(20)}d`])
      expect(parseDuration(text)).toBeNull();
  });

  it('law: what is written reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('nearest names', () => {
  it('counts edits and swaps', () => {
    expect(editDistance('cuont', 'count')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('guesses only where a guess helps', () => {
    expect(nearest('resolutoin', ['resolution', 'slack'])).toBe('resolution');
    expect(nearest('2m', ['1m', '5m'])).toBeNull();
    expect(nearest('colour', ['windows', 'slack'])).toBeNull();
  });
});

describe('hashes', () => {
  it('do not depend on the order of keys', () => {
    expect(canonical({ b: [1, { d: null, c: 'x' }], a: undefined })).toBe('{"b":[1,{"c":"x","d":null}]}');
    expect(hashOf({ a: 1, b: 2 })).toBe(hashOf({ b: 2, a: 1 }));
    expect(hashOf({ a: [1, 2] })).not.toBe(hashOf({ a: [2, 1] }));
  });

  it('53 bits: whole, stable, spread evenly, without collisions over near texts', () => {
    // What the states of views hold rests on these.
    expect(hash53('')).toBe(5352302027573400);
    expect(hash53('merchant-1')).toBe(4831314050942104);
    const seen = new Set<number>();
    const bits = new Uint32Array(53);
    const count = 40_000;
    for (let i = 0; i < count; i += 1) {
      const hash = hash53(`merchant-${i}`);
      expect(Number.isSafeInteger(hash) && hash >= 0).toBe(true);
      seen.add(hash);
      const [low, high] = [hash % 2 ** 32, Math.floor(hash / 2 ** 32)];
      for (let bit = 0; bit < 53; bit += 1)
        bits[bit] = (bits[bit] ?? 0) + (((bit < 32 ? low >>> bit : high >>> (bit - 32)) & 1) === 1 ? 1 : 0);
    }
    expect(seen.size).toBe(count);
    // Five standard deviations of a fair coin.
    for (const ones of bits) expect(Math.abs(ones - count / 2)).toBeLessThan(2.5 * Math.sqrt(count));
  });
});

describe('zones', () => {
  it('know half hours, summer time and its two ends', () => {
    const hour = 3_600_000;
    expect(zoneOffset('Asia/Kolkata', Date.UTC(2001, 0, 1))).toBe(5.5 * hour);
    expect(zoneOffset('America/Chicago', Date.UTC(2001, 3, 1, 7, 59, 59))).toBe(-6 * hour);
    expect(zoneOffset('America/Chicago', Date.UTC(2001, 3, 1, 8))).toBe(-5 * hour);
    expect(zoneOffset('UTC', 0)).toBe(0);
    expect(zoneOffset('', 0)).toBeNull();
    expect(zoneOffset('Mars/Olympus', 0)).toBeNull();
  });
});
