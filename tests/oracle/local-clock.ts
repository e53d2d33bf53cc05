/** Local clocks by search, for the oracle alone. */
const QUARTER = 15 * 60_000;
const formats = new Map<string, Intl.DateTimeFormat>();
const shown = new Map<string, number>();
const found = new Map<string, number | null>();
const MOST_KEPT = 200_000;

/** What a local clock shows, as if it were UTC, epoch ms. Whole quarters of an hour only. */
function localOf(zone: string, time: number): number {
  const key = `${zone} ${time}`;
  const known = shown.get(key);
  if (known !== undefined) return known;
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('sv-SE', {
      timeZone: zone,
      dateStyle: 'short',
      timeStyle: 'medium',
    });
    formats.set(zone, format);
  }
  const local = Date.parse(`${format.format(time).replace(' ', 'T')}Z`);
  if (shown.size > MOST_KEPT) shown.clear();
  shown.set(key, local);
  return local;
}

/**
 * The time at which the zone's clock showed what it showed at `time`, `back` ms before: the earliest of all times
 * that fit, or time - back where none does. Null for an unknown zone. Tries every quarter of an hour.
 */
export function sameLocalClock(time: number, back: number, zone: string | null): number | null {
  if (zone === null) return time - back;
  const key = `${zone} ${time} ${back}`;
  const known = found.get(key);
  if (known !== undefined) return known;
  if (found.size > MOST_KEPT) found.clear();
  const then = search(time, back, zone);
  found.set(key, then);
  return then;
}

function search(time: number, back: number, zone: string): number | null {
  const quarter = Math.floor(time / QUARTER) * QUARTER;
  const rest = time - quarter;
  try {
    const wanted = localOf(zone, quarter) - back;
    for (let shift = -108; shift <= 108; shift += 1) {
      const candidate = quarter - back + shift * QUARTER;
      if (localOf(zone, candidate) === wanted) return candidate + rest;
    }
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  return time - back;
}
