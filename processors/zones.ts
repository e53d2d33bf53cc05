import { DAY, HOUR } from '../schemas/time.ts';
import { zoneOffsets } from '../schemas/zone-offset.ts';

/** Local clocks. The offset is kept per zone and UTC day, and the place of a change inside a day is searched once. */
export class ZoneClock {
  readonly #ask: (time: number) => number;
  readonly #days = new Map<number, { before: number; change: number; after: number }>();

  constructor(zone: string) {
    this.#ask = zoneOffsets(zone);
  }

  /** Local clock minus UTC at `time`, ms. */
  offset(time: number): number {
    const day = Math.floor(time / DAY);
    let known = this.#days.get(day);
    if (known === undefined) {
      known = this.#learn(day * DAY);
      if (this.#days.size > 100_000) this.#days.clear();
      this.#days.set(day, known);
    }
    return time < known.change ? known.before : known.after;
  }

  /** At most one change a day is looked for. */
  #learn(from: number): { before: number; change: number; after: number } {
    const before = this.#ask(from);
    const after = this.#ask(from + DAY);
    if (before === after) return { before, change: Number.POSITIVE_INFINITY, after };
    let low = from;
    let high = from + DAY;
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000;
      if (this.#ask(middle) === before) low = middle;
      else high = middle;
    }
    return { before, change: high, after };
  }

  /**
   * The time whose local clock shows what it showed at `time`, `back` ms (whole days) before. Where that local
   * time does not exist it is time - back; where it exists twice, the earlier.
   */
  sameClock(time: number, back: number): number {
    const offset = this.offset(time);
    const plain = time - back;
    // No change in the day before: nothing is shown twice, and `plain` shows the right time.
    if (this.offset(plain) === offset && this.offset(plain - DAY - HOUR) === offset) return plain;
    const local = time + offset - back;
    const early = this.offset(local - DAY - HOUR);
    const late = this.offset(local + DAY + HOUR);
    let found = Number.POSITIVE_INFINITY;
    for (const candidate of [early, late, this.offset(plain)])
      if (this.offset(local - candidate) === candidate) found = Math.min(found, local - candidate);
    return found === Number.POSITIVE_INFINITY ? plain : found;
  }
}

const clocks = new Map<string, ZoneClock | null>();

/** The clock of an IANA zone, or null where there is no such zone. */
export function zoneClock(zone: string): ZoneClock | null {
  const known = clocks.get(zone);
  if (known !== undefined) return known;
  let made: ZoneClock | null = null;
  try {
    made = new ZoneClock(zone);
  } catch {
    // Zones come from events: an unknown one makes the value null, it does not stop the reader.
  }
  if (clocks.size < 10_000) clocks.set(zone, made);
  return made;
}
