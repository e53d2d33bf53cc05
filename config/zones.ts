import { MINUTE } from '../schemas/time.ts';

/**
 * Offsets of local clocks, from the time zone database of the JavaScript engine.
 * Zones change their offset on whole quarters of an hour, so one look-up a quarter is exact.
 */
const QUARTER = 15 * MINUTE;
const MAX_CACHED = 100_000;

const formats = new Map<string, Intl.DateTimeFormat | null>();
const offsets = new Map<string, Map<number, number>>();

function formatOf(zone: string): Intl.DateTimeFormat | null {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  let format: Intl.DateTimeFormat | null = null;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      era: 'short',
    });
  } catch {
    // An unknown zone has no format: callers read null.
  }
  if (formats.size < 10_000) formats.set(zone, format);
  return format;
}

function measure(format: Intl.DateTimeFormat, time: number): number {
  const parts: Record<string, string> = {};
  for (const part of format.formatToParts(time)) parts[part.type] = part.value;
  const local = Date.UTC(
    Number(parts.year),
    Number(parts.month) - 1,
    Number(parts.day),
    Number(parts.hour),
    Number(parts.minute),
    Number(parts.second),
  );
  return local - Math.floor(time / 1000) * 1000;
}

/** Local clock minus UTC at `time`, ms; null for an unknown zone. */
export function zoneOffset(zone: string, time: number): number | null {
  const quarter = Math.floor(time / QUARTER);
  let known = offsets.get(zone);
  const cached = known?.get(quarter);
  if (cached !== undefined) return cached;
  if (zone === 'UTC') return 0;
  const format = zone === '' || !Number.isFinite(time) ? null : formatOf(zone);
  if (format === null) return null;
  const offset = measure(format, quarter * QUARTER);
  if (known === undefined) {
    known = new Map();
    if (offsets.size < 10_000) offsets.set(zone, known);
  }
  if (known.size >= MAX_CACHED) known.clear();
  known.set(quarter, offset);
  return offset;
}

/** Whether a local clock ever shows this text (`2001-04-01T02:30`): not so in the hour that summer time skips. */
export function existsLocal(text: string, zone: string): boolean | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?$/.exec(text);
  if (match === null) return false;
  const [year, month, day, hour, minute, second] = match.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  if (new Date(local).toISOString().slice(0, 16) !== text.slice(0, 16)) return false;
  for (const guess of [local - 86_400_000, local, local + 86_400_000]) {
    const offset = zoneOffset(zone, guess);
    if (offset === null) return null;
    if (zoneOffset(zone, local - offset) === offset) return true;
  }
  return false;
}
