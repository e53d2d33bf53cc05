import type { EventRecord } from '../../schemas/event.ts';
import type { Source } from '../../schemas/project.ts';
import type { RefusalCode } from '../../schemas/refusal.ts';
import { DAY, HOUR, MINUTE } from '../../schemas/time.ts';
import { flightMinutes } from './flights.ts';
import type { HistoryBatch, HistoryFile, HistoryRange } from './port.ts';

/** Bad flights of every kind, with the code each must be refused by. */
export const PLANTED = {
  delay_out_of_range: 'rule_failed',
  distance_out_of_range: 'rule_failed',
  equal_airports: 'rule_failed',
  unknown_airport: 'rule_failed',
  skipped_local_time: 'rule_failed',
  missing_delay: 'missing_field',
  unknown_event_type: 'unknown_type',
  late: 'late',
  future_time: 'future_time',
  null_value: 'null_value',
  two_bytes: 'bad_wire_format',
  unknown_schema: 'unknown_schema',
  cut_short: 'bad_avro',
} as const satisfies Record<string, RefusalCode>;
export type PlantedKind = keyof typeof PLANTED;

/** Keys and event ids of planted records begin so, which tells them apart wherever they end. */
export const PLANTED_PREFIX = 'planted:';

/** A record to send: an event to encode, or bytes (null among them) as they are. */
export interface ReplayItem {
  /** Ascending, the same at every reading with the same seed. */
  readonly place: number;
  /** Where it stands in event time, epoch ms; of a planted record, the time of the event before it. */
  readonly time: number;
  readonly key: string;
  readonly event: EventRecord | null;
  /** Used where `event` is null. */
  readonly bytes: Uint8Array | null;
  /** The encoded event is sent without its last byte. */
  readonly cut: boolean;
  readonly planted: PlantedKind | null;
  readonly expected: RefusalCode | null;
}

export interface PlantOptions {
  readonly source: Source;
  readonly seed: number;
  /** Planted records of each kind. */
  readonly each: number;
  /** Names the event's key. */
  readonly keyOf: (event: EventRecord) => string;
}

/**
 * Mixes planted bad flights into a range of history. Where they stand and what they hold depends on the file,
 * the range and the seed alone, so a replay that goes on after a crash (`range.after`, a place of this stream)
 * sends the same ones. With `each` 0 it is the plain history. `future_time` is left out where the source has no
 * `maxFuture`; late ones come a day after the range begins (or in its second half), when every partition has a watermark.
 */
export async function* plant(
  file: HistoryFile,
  range: HistoryRange,
  options: PlantOptions,
): AsyncGenerator<readonly ReplayItem[]> {
  const { after = -1, ...whole } = range;
  const planted = choosePlaces(file, whole, options);
  // The place of a genuine event is twice its own, of a planted one that of the event before it plus 1.
  const history: HistoryRange = { ...whole, after: Math.ceil(after / 2) - 1 };
  for await (const batch of file.read(history)) {
    const items = mix(batch, planted, options).filter((item) => item.place > after);
    if (items.length > 0) yield items;
  }
}

/** How many records of each kind `plant` will send in all. */
export function plantedCounts(
  file: HistoryFile,
  range: HistoryRange,
  options: PlantOptions,
): Partial<Record<PlantedKind, number>> {
  const counts: Partial<Record<PlantedKind, number>> = {};
  for (const kind of choosePlaces(file, range, options).values()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function choosePlaces(
  file: HistoryFile,
  range: HistoryRange,
  options: PlantOptions,
): ReadonlyMap<number, PlantedKind> {
  const { after: _, ...whole } = range;
  const first = whole.from === null ? 0 : file.count({ from: null, to: whole.from });
  const count = file.count(whole);
  const dayLater = whole.from === null ? 0 : file.count({ from: whole.from, to: whole.from + DAY });
  const lateFrom = Math.min(dayLater, Math.floor(count / 2));
  const random = seeded(options.seed);
  const places = new Map<number, PlantedKind>();
  for (const kind of Object.keys(PLANTED) as PlantedKind[]) {
    if (kind === 'future_time' && options.source.maxFuture === null) continue;
    const from = kind === 'late' ? lateFrom : 0;
    for (let n = 0; n < options.each && places.size < count / 2; n += 1) {
      let place = first + from + Math.floor(random() * (count - from));
      while (places.has(place)) place = first + ((place - first + 1) % count);
      places.set(place, kind);
    }
  }
  return places;
}

function mix(
  batch: HistoryBatch,
  planted: ReadonlyMap<number, PlantedKind>,
  options: PlantOptions,
): ReplayItem[] {
  const items: ReplayItem[] = [];
  for (let i = 0; i < batch.events.length; i += 1) {
    const event = batch.events[i] as EventRecord;
    const place = batch.places[i] as number;
    items.push({
      place: 2 * place,
      time: event.time,
      key: options.keyOf(event),
      event,
      bytes: null,
      cut: false,
      planted: null,
      expected: null,
    });
    const kind = planted.get(place);
    if (kind === undefined) continue;
    const id = `${PLANTED_PREFIX}${kind}:${place}`;
    items.push({
      place: 2 * place + 1,
      time: event.time,
      key: id,
      cut: kind === 'cut_short',
      planted: kind,
      expected: PLANTED[kind],
      ...makeBad(kind, id, event, place % 2 === 0, options.source),
    });
  }
  return items;
}

function makeBad(
  kind: PlantedKind,
  id: string,
  base: EventRecord,
  even: boolean,
  source: Source,
): { event: EventRecord | null; bytes: Uint8Array | null } {
  const departed: EventRecord = {
    ...base,
    id,
    type: 'flight.departed',
    flight_id: id,
    delay: null,
    departed_at: base.time,
  };
  const event = (change: object): { event: EventRecord; bytes: null } => ({
    event: { ...departed, ...change },
    bytes: null,
  });
  const arrived = (change: object) =>
    event({
      type: 'flight.arrived',
      delay: base.delay ?? 0,
      departed_at: base.time - flightMinutes(Number(base.distance)) * MINUTE,
      ...change,
    });
  switch (kind) {
    case 'delay_out_of_range':
      return arrived({ delay: even ? 9_999 : -500 });
    case 'distance_out_of_range':
      return event({ distance: even ? 3 : 25_000 });
    case 'equal_airports':
      return event({ destination: base.origin });
    case 'unknown_airport':
      return event({ origin: 'QQQ', zone: '' });
    case 'skipped_local_time':
      return event({ local_time: '2001-04-01T02:30', zone: 'America/Chicago' });
    case 'missing_delay':
      return arrived({ delay: null });
    case 'unknown_event_type':
      return event({ type: 'flight.cancelled' });
    case 'late':
      return event({ time: base.time - source.outOfOrderness - 3 * HOUR });
    case 'future_time':
      return event({ time: Date.UTC(2200, 0, 1) });
    case 'cut_short':
      return event({});
    case 'null_value':
      return { event: null, bytes: null };
    case 'two_bytes':
      return { event: null, bytes: Uint8Array.of(1, 2) };
    case 'unknown_schema':
      return { event: null, bytes: Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3) };
  }
}

/** mulberry32: small, seeded, uniform enough to choose places. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return function random() {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
