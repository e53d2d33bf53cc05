import { describe, expect, it } from 'vitest';
import { oddTimes } from '../../cli/odd-times.ts';
import { inMemory } from '../../infrastructure/readers/events.ts';

const fileOf = (...times: number[]) =>
  inMemory(
    'file',
    'a',
    times.map((time, i) => ({ id: `${i}`, type: 'paid', time })),
    true,
  );

describe('times of a file that look as if they had another unit', () => {
  const now = Date.UTC(2026, 5, 1);
  it('are seconds taken for milliseconds, and milliseconds taken for seconds', () => {
    expect(oddTimes(fileOf(now / 1000, now / 1000 + 5))).toContain('Are their times seconds?');
    expect(oddTimes(fileOf(now * 1000))).toContain('1 events lie after the year 2200');
  });
  it('are not those of our days, of old archives, or of no events', () => {
    expect(oddTimes(fileOf(Date.UTC(2001, 0, 1), now))).toBeNull();
    expect(oddTimes(fileOf(Date.UTC(1970, 0, 2), now))).toBeNull();
    expect(oddTimes(fileOf(Date.UTC(1950, 0, 1)))).toBeNull();
    expect(oddTimes(fileOf())).toBeNull();
  });
});
