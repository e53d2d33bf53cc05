import { ZoneClock } from '../../processors/zones.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';

/** Offsets of a time zone over a stretch of time: `offsets[k]` (ms east of UTC) holds from `starts[k]` (epoch ms) on. */
export interface ZoneTable {
  readonly starts: readonly number[];
  readonly offsets: readonly number[];
}

/**
 * Reads a zone's offsets for [from, to) by steps of half a day, then bisection to the minute, so that
 * converting a row needs no look-up at all.
 */
export function zoneTable(zone: string, from: number, to: number): ZoneTable {
  const clock = new ZoneClock(zone);
  const offsetAt = (time: number) => clock.offset(time);
  const starts = [Number.NEGATIVE_INFINITY];
  const offsets = [offsetAt(from)];
  let known = from;
  let current = offsets[0] as number;
  for (let time = from + 12 * HOUR; known < to; time += 12 * HOUR) {
    const offset = offsetAt(time);
    if (offset !== current) {
      let low = known;
      let high = time;
      while (high - low > MINUTE) {
        const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
        if (offsetAt(middle) === current) low = middle;
        else high = middle;
      }
      starts.push(high);
      offsets.push(offset);
      current = offset;
    }
    known = time;
  }
  return { starts, offsets };
}

/** `skipped`: no clock of the zone ever showed this local time. */
export interface LocalTime {
  readonly time: number;
  readonly skipped: boolean;
}

/**
 * The moment at which a zone's clock showed `local` (written as if it were UTC, epoch ms): the earlier of
 * two; where the clock jumped over it, what the offset before the jump gives, marked `skipped`.
 */
export function localToUtc(table: ZoneTable, local: number): LocalTime {
  const { starts, offsets } = table;
  for (let k = 0; k < starts.length; k += 1) {
    const time = local - (offsets[k] as number);
    const end = starts[k + 1];
    if (end === undefined || time < end) {
      const skipped = time < (starts[k] as number);
      return { time: skipped ? local - (offsets[k - 1] as number) : time, skipped };
    }
  }
  throw new RangeError('a zone table is never empty');
}
