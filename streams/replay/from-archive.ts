import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { readEvents } from '../../infrastructure/clickhouse/read-events.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { DecodeFailure } from '../../schemas/codec.ts';
import { cappedTime, type EventRecord } from '../../schemas/event.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import type { SchemaText } from '../../schemas/registered-schema.ts';
import { archivedOffsets, countImported, type OffsetRange, REFUSED } from './archived-offsets.ts';
import { ReplayRefused } from './errors.ts';
import { MergedItems, type ReplayItem } from './items.ts';

export interface ArchiveOptions {
  readonly warehouse: Warehouse;
  /** Prefix of the archive: that of the topics its events came through. */
  readonly prefix: string;
  /** The source as the project that replays declares it. */
  readonly source: Source;
  /** Event time as watermarks count it, epoch ms: from <= time < to. Null = no bound. */
  readonly from: number | null;
  readonly to: number | null;
  /** Text of a schema by its id in the registry, or null. */
  readonly schemaById: (id: number) => Promise<SchemaText | null>;
  /** Offsets that are read at once; default 50,000. */
  readonly pageOffsets?: number;
}

/** The archive of a source, as history to replay. */
export interface ArchivedSource {
  /** Accepted events and dead letters of ingest. */
  readonly records: number;
  /** Events that an import brought: they are left out. */
  readonly imported: number;
  items(): AsyncIterable<readonly ReplayItem[]>;
}

const PAGE_OFFSETS = 50_000;

/**
 * Opens the archive of a source. Each raw partition keeps its own order, and partitions are merged by their running maxima, so what was
 * late is late again and nothing else is. Events carry when they first arrived; dead letters of ingest are sent as they came.
 * Throws ReplayRefused, WarehouseError, RegistryError.
 */
export async function openArchive(options: ArchiveOptions): Promise<ArchivedSource> {
  const { source } = options;
  if (source.format.kind === 'registry')
    throw new ReplayRefused(
      `The source ${source.name} is Avro of a schema that is not ours to write, and the archive keeps events, not their bytes: it cannot be replayed from there.`,
    );
  const range = { ...options, source: source.name };
  const ranges = await archivedOffsets(range);
  return {
    records: ranges.reduce((sum, { records }) => sum + records, 0),
    imported: await countImported(range),
    items: () => mergePartitions(options, ranges),
  };
}

async function* mergePartitions(
  options: ArchiveOptions,
  ranges: readonly OffsetRange[],
): AsyncGenerator<readonly ReplayItem[]> {
  // With fewer partitions than the archive knows, keys say where records go, and places count the merged order.
  const fits = ranges.every(({ partition }) => partition < options.source.partitions);
  const merged = await MergedItems.open(
    ranges.map((range) => ({ source: String(range.partition), items: readPartition(options, range) })),
  );
  let place = 0;
  try {
    for await (const { items } of merged.read())
      yield fits
        ? items
        : items.map(({ partition: _, ...item }): ReplayItem => {
            place += 1;
            return { ...item, place };
          });
  } finally {
    await merged.close();
  }
}

/** A record of the archive before it has a place in event time; `counts` is null where it moves no watermark. */
type Unplaced = Omit<ReplayItem, 'time'> & { readonly counts: number | null };

async function* readPartition(
  options: ArchiveOptions,
  range: OffsetRange,
): AsyncGenerator<readonly ReplayItem[]> {
  const { pageOffsets = PAGE_OFFSETS } = options;
  const read = createLetterReader(options);
  let position = Number.NEGATIVE_INFINITY;
  for (let from = range.from; from < range.to; from += pageOffsets) {
    const page = { partition: range.partition, from, to: Math.min(from + pageOffsets, range.to) };
    const records = [...(await readAccepted(options, page)), ...(await read(page))];
    records.sort((a, b) => a.place - b.place);
    // What was refused before the first event stands where that event does.
    if (!Number.isFinite(position)) {
      const first = records.find(({ counts }) => counts !== null)?.counts;
      position = first ?? records[0]?.arrivedAt ?? position;
    }
    yield records.map(({ counts, ...item }): ReplayItem => {
      position = Math.max(position, counts ?? position);
      return { ...item, time: position };
    });
  }
}

type Page = Omit<OffsetRange, 'records'>;

async function readAccepted({ warehouse, prefix, source }: ArchiveOptions, page: Page): Promise<Unplaced[]> {
  const found: Unplaced[] = [];
  const offsets = { partition: page.partition, from: page.from, to: page.to };
  for await (const batch of readEvents(warehouse, { prefix }, source, { from: null, to: null, offsets }))
    for (const [i, event] of batch.events.entries()) {
      const arrival = batch.arrivals[i] ?? Number.NaN;
      const arrivedAt = Number.isNaN(arrival) ? null : arrival;
      found.push({
        place: batch.sourceOffsets[i] ?? 0,
        key: String(event[source.key]),
        event,
        bytes: null,
        partition: page.partition,
        arrivedAt,
        counts: cappedTime(event.time, arrivedAt),
      });
    }
  return found;
}

interface LetterRow {
  readonly offset: number;
  readonly arrived: number | null;
  readonly decoded: number;
  /** Bytes in hex. */
  readonly key: string | null;
  readonly value: string | null;
}

/** Reads dead letters of ingest. An event of ours is written anew, since its schema names the prefix it came through. */
function createLetterReader({ warehouse, prefix, source, schemaById }: ArchiveOptions) {
  const decoder = source.format.kind === 'avro' ? createEventDecoder(source, prefix) : null;
  async function eventOf(value: Uint8Array | null): Promise<EventRecord | null> {
    if (decoder === null || value === null) return null;
    for (const id of decoder.unknownIds([value])) {
      const schema = await schemaById(id);
      if (schema !== null) decoder.learn(id, schema);
    }
    const event = decoder.decode(value);
    return event instanceof DecodeFailure ? null : event;
  }
  return async function readLetters({ partition, from, to }: Page): Promise<Unplaced[]> {
    const rows = await retrying(() =>
      warehouse.query<LetterRow>(
        `SELECT source_offset AS offset, toUnixTimestamp64Milli(first_append_time) AS arrived, event_id IS NOT NULL AS decoded,
           hex(key) AS key, hex(value) AS value
         FROM ${quoteName(tables.deadLetters(prefix, source.name))} FINAL
         WHERE ${REFUSED} AND source_partition = {p:Int32} AND source_offset >= {from:Int64} AND source_offset < {to:Int64}
         ORDER BY offset`,
        { p: partition, from, to },
      ),
    );
    const letters: Unplaced[] = [];
    for (const { offset, arrived, decoded, key, value } of rows) {
      const keyBytes = key === null ? null : Buffer.from(key, 'hex');
      const bytes = value === null ? null : Buffer.from(value, 'hex');
      const event = decoded === 1 ? await eventOf(bytes) : null;
      letters.push({
        place: offset,
        key: keyBytes?.toString() ?? '',
        keyBytes,
        event,
        bytes: event === null ? bytes : null,
        partition,
        arrivedAt: arrived,
        counts: null,
      });
    }
    return letters;
  };
}
