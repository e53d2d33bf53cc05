import { describe, expect, it } from 'vitest';
import { zoneClock } from '../../processors/zones.ts';
import { sameLocalClock } from '../oracle/local-clock.ts';
import { dice } from './harness.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Around the changes of clocks in 2001, and of zones that moved across the date line or by half an hour. */
const CHANGES: ReadonlyArray<readonly [zone: string, around: number]> = [
  ['America/New_York', Date.UTC(2001, 3, 1, 7)],
  ['America/New_York', Date.UTC(2001, 9, 28, 6)],
  ['America/Phoenix', Date.UTC(2001, 3, 1, 7)],
  ['Europe/Berlin', Date.UTC(2001, 2, 25, 1)],
  ['Australia/Lord_Howe', Date.UTC(2001, 2, 24, 15)],
  ['Australia/Lord_Howe', Date.UTC(2001, 9, 27, 15, 30)],
  ['Asia/Kathmandu', Date.UTC(2001, 5, 1)],
  ['Pacific/Apia', Date.UTC(2011, 11, 30, 10)],
  ['Pacific/Kwajalein', Date.UTC(1993, 7, 21, 12)],
];

describe('the same local clock on days before', () => {
  it.each(CHANGES)('in %s around %d is what a search finds', (zone, around) => {
    const clock = zoneClock(zone);
    const next = dice(around);
    for (let k = 0; k < 400; k += 1) {
      const time = Math.floor((around + (next() - 0.2) * 8 * DAY) / 60_000) * 60_000;
      for (const back of [DAY, 2 * DAY, 7 * DAY])
        expect(clock?.sameClock(time, back), `${new Date(time).toISOString()} - ${back / DAY} d`).toBe(
          sameLocalClock(time, back, zone),
        );
    }
  });

  it('takes the earlier of a local time that exists twice, and t - 24h of one that does not', () => {
    const clock = zoneClock('America/New_York');
    // 01:30 on 29 October; on 28 October 01:30 came twice, at 05:30Z and 06:30Z.
    expect(clock?.sameClock(Date.UTC(2001, 9, 29, 6, 30), DAY)).toBe(Date.UTC(2001, 9, 28, 5, 30));
    // 02:30 on 2 April; on 1 April the clock went from 02:00 to 03:00.
    expect(clock?.sameClock(Date.UTC(2001, 3, 2, 6, 30), DAY)).toBe(Date.UTC(2001, 3, 1, 6, 30));
  });

  it('of a zone that is none is nothing', () => {
    expect(zoneClock('No/Such_Zone')).toBeNull();
  });
});
