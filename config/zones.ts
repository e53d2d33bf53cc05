import { DAY, MINUTE } from '../schemas/time.ts';
import { zoneOffsets } from '../schemas/zone-offset.ts';

/**
 * Offsets of local clocks.
 * Zones change their offset on whole quarters of an hour, so one look-up a quarter is exact.
 */
const QUARTER = 15 * MINUTE;
const MAX_CACHED = 100_000;
const MAX_ZONES = 10_000;

const askers = new Map<string, ((time: number) => number) | null>();
const offsets = new Map<string, Map<number, number>>();

function askerOf(zone: string): ((time: number) => number) | null {
  const known = askers.get(zone);
  if (known !== undefined) return known;
  let ask: ((time: number) => number) | null = null;
  try {
    ask = zoneOffsets(zone);
  } catch {
    // An unknown zone has no clock: callers read null.
  }
  if (askers.size < MAX_ZONES) askers.set(zone, ask);
  return ask;
}

/** Local clock minus UTC at `time`, ms; null for an unknown zone. */
export function zoneOffset(zone: string, time: number): number | null {
  const quarter = Math.floor(time / QUARTER);
  let known = offsets.get(zone);
  const cached = known?.get(quarter);
  if (cached !== undefined) return cached;
  if (zone === 'UTC') return Number.isFinite(time) ? 0 : null;
  const ask = zone === '' || !Number.isFinite(time) ? null : askerOf(zone);
  if (ask === null) return null;
  const offset = ask(quarter * QUARTER);
  if (known === undefined) {
    known = new Map();
    if (offsets.size < MAX_ZONES) offsets.set(zone, known);
  }
  if (known.size >= MAX_CACHED) known.clear();
  known.set(quarter, offset);
  return offset;
}

const existing = new Map<string, Map<number, boolean>>();

/** Two digits of a text as a number; NaN where they are none. */
function digits(text: string, at: number): number {
  const high = text.charCodeAt(at) - 48;
  const low = text.charCodeAt(at + 1) - 48;
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : Number.NaN;
}

/** `2001-04-01T02:30`, read as if it were UTC, epoch ms; null where the text is no such time. */
function readLocal(text: string): number | null {
  const shaped = text[4] === '-' && text[7] === '-' && text[10] === 'T' && text[13] === ':';
  if (!shaped || (text.length !== 16 && (text.length !== 19 || text[16] !== ':'))) return null;
  const year = digits(text, 0) * 100 + digits(text, 2);
  const month = digits(text, 5);
  const day = digits(text, 8);
  const hour = digits(text, 11);
  const minute = digits(text, 14);
  const second = text.length === 19 ? digits(text, 17) : 0;
  if (!(month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 59)) return null;
  if (day > 28 && day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return null;
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  return Number.isNaN(local) ? null : local;
}

/**
 * Whether a local clock ever shows this text (`2001-04-01T02:30`): not so in the hour that summer time
 * skips, nor where the text is no time. Null for an unknown zone.
 */
export function existsLocal(text: string, zone: string): boolean | null {
  const local = readLocal(text);
  if (local === null) return false;
  const quarter = Math.floor(local / QUARTER);
  let known = existing.get(zone);
  const cached = known?.get(quarter);
  if (cached !== undefined) return cached;
  let exists = false;
  // Offsets lie within a day of UTC, so those of the days around are all that can apply.
  for (const guess of [local - DAY, local, local + DAY]) {
    const offset = zoneOffset(zone, guess);
    if (offset === null) return null;
    if (zoneOffset(zone, local - offset) === offset) exists = true;
  }
  if (known === undefined) {
    known = new Map();
    if (existing.size < MAX_ZONES) existing.set(zone, known);
  }
  if (known.size >= MAX_CACHED) known.clear();
  known.set(quarter, exists);
  return exists;
}
