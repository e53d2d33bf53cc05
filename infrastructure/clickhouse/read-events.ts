import type { EventRecord, FieldType, Scalar } from '../../schemas/event.ts';
import { tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { type ColumnValues, gather, type NativeBlock, readBlocks } from './native.ts';
import type { Warehouse } from './port.ts';
import { retrying } from './retry.ts';
import { quoteName, quoteText } from './tables.ts';

/** Events of one stretch of a read, and where each comes from, index by index. */
export interface EventBatch {
  readonly events: readonly EventRecord[];
  /** '' where the event came from Kafka. */
  readonly importIds: readonly string[];
  readonly sourcePartitions: Int32Array;
  /** Offset in the raw topic, or row of the imported file. */
  readonly sourceOffsets: Float64Array;
  /** Epoch ms. */
  readonly appendTimes: Float64Array;
  /** When each first arrived at Kafka, epoch ms; NaN where that is not known. */
  readonly arrivals: Float64Array;
}

export interface ReadEventsOptions {
  /** Event times from here, epoch ms; null = from the first. */
  readonly from: number | null;
  /** Event times before this, epoch ms; null = to the last. */
  readonly to: number | null;
  /** Declared fields to read; all where absent. The others are missing from the events. */
  readonly columns?: readonly string[];
  /** Event types; all where absent. */
  readonly types?: readonly string[];
  /**
   * Of the events from Kafka only those at or below the last offset of their partition (a partition not
   * named gives none); all where absent. Imported events are not touched by it.
   */
  readonly upTo?: ReadonlyArray<{ readonly partition: number; readonly offset: number }>;
  /** Only events from Kafka of one raw partition: from <= offset < to. */
  readonly offsets?: { readonly partition: number; readonly from: number; readonly to: number };
  /** Leaves imported events out. */
  readonly withoutImports?: boolean;
  /** Events a query fetches; memory is two such pages. */
  readonly pageRows?: number;
}

const PAGE_ROWS = 200_000;

/** A column as the Native reader takes it: times and integers (below 2^53) as Float64. */
function selected(name: string, type: FieldType): string {
  const quoted = quoteName(name);
  if (type === 'timestamp') return `toFloat64(toUnixTimestamp64Milli(${quoted}))`;
  if (type === 'int') return `toFloat64(${quoted})`;
  return quoted;
}

interface Cursor {
  readonly time: number;
  readonly importId: string;
  readonly partition: number;
  readonly offset: number;
}

/** Field columns come first, these behind them, in this order. */
const LINEAGE = [
  'import_id',
  'source_partition',
  'toFloat64(source_offset)',
  'toFloat64(toUnixTimestamp64Milli(append_time))',
  'ifNull(toFloat64(toUnixTimestamp64Milli(first_append_time)), nan)',
];

const instant = (time: number) => `fromUnixTimestamp64Milli(${Math.trunc(time)}, 'UTC')`;

function pageSql(
  table: string,
  fields: Source['fields'],
  options: ReadEventsOptions,
  cursor: Cursor | undefined,
  limit: number,
): string {
  const from = cursor?.time ?? options.from;
  const where: string[] = [];
  if (from !== null) where.push(`time >= ${instant(from)}`);
  if (options.to !== null) where.push(`time < ${instant(options.to)}`);
  if (cursor !== undefined) {
    where.push(
      `(time, import_id, source_partition, source_offset) > (${instant(cursor.time)}, ${quoteText(cursor.importId)}, ${cursor.partition}, ${cursor.offset})`,
    );
  }
  if (options.types !== undefined) where.push(`type IN (${options.types.map(quoteText).join(', ') || "''"})`);
  if (options.withoutImports === true) where.push(`import_id = ''`);
  if (options.offsets !== undefined) {
    const { partition, from, to } = options.offsets;
    where.push(
      `import_id = '' AND source_partition = ${partition} AND source_offset >= ${from} AND source_offset < ${to}`,
    );
  }
  if (options.upTo !== undefined) {
    const marks = options.upTo.map(
      ({ partition, offset }) => `(source_partition = ${partition} AND source_offset <= ${offset})`,
    );
    where.push(`(${["import_id != ''", ...marks].join(' OR ')})`);
  }
  const columns = [
    'id',
    'type',
    'toFloat64(toUnixTimestamp64Milli(time))',
    ...fields.map(({ name, type }) => selected(name, type)),
    ...LINEAGE,
  ];
  return [
    // Aliases of their own: an alias with a column's name would take its place in WHERE and ORDER BY.
    `SELECT ${columns.map((sql, i) => `${sql} AS c${i}`).join(', ')}`,
    `FROM ${quoteName(table)}`,
    where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`,
    'ORDER BY time, import_id, source_partition, source_offset',
    `LIMIT ${limit}`,
    'FORMAT Native',
  ].join(' ');
}

const asStrings = (values: ColumnValues | undefined) => values as readonly string[];
const asNumbers = (values: ColumnValues | undefined) => values as Float64Array;

/** Objects of one shape, filled column by column. */
function eventsOf(block: NativeBlock, fields: Source['fields'], template: EventRecord): EventRecord[] {
  const [ids, types, times] = block.columns;
  const idValues = asStrings(ids?.values);
  const typeValues = asStrings(types?.values);
  const timeValues = asNumbers(times?.values);
  const events = new Array<EventRecord>(block.rows);
  for (let row = 0; row < block.rows; row++) {
    const event = { ...template } as { -readonly [name in keyof EventRecord]: EventRecord[name] };
    event.id = idValues[row] ?? '';
    event.type = typeValues[row] ?? '';
    event.time = timeValues[row] ?? 0;
    events[row] = event;
  }
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const column = block.columns[3 + i];
    if (field === undefined || column === undefined) continue;
    fill(
      events as Array<Record<string, Scalar>>,
      field.name,
      field.type === 'bool',
      column.values,
      column.nulls,
    );
  }
  return events;
}

function fill(
  events: ReadonlyArray<Record<string, Scalar>>,
  name: string,
  bool: boolean,
  values: ColumnValues,
  nulls: Uint8Array | undefined,
): void {
  for (let row = 0; row < events.length; row++) {
    if (nulls !== undefined && nulls[row] === 1) continue;
    const event = events[row];
    const value = values[row];
    if (event !== undefined && value !== undefined) event[name] = bool ? value === 1 : value;
  }
}

/** Drops rows whose lineage is that of the row before: repeats of an insert not yet merged lie side by side. */
function withoutRepeats(batch: EventBatch, before: Cursor | undefined): EventBatch {
  const kept: number[] = [];
  let last = before;
  for (let i = 0; i < batch.events.length; i++) {
    const here = cursorAt(batch, i);
    if (
      last === undefined ||
      last.offset !== here.offset ||
      last.time !== here.time ||
      last.partition !== here.partition ||
      last.importId !== here.importId
    ) {
      kept.push(i);
    }
    last = here;
  }
  if (kept.length === batch.events.length) return batch;
  const pick = <T>(list: readonly T[]) => kept.map((i) => list[i]).filter((one) => one !== undefined);
  return {
    events: pick(batch.events),
    importIds: pick(batch.importIds),
    sourcePartitions: Int32Array.from(kept, (i) => batch.sourcePartitions[i] ?? 0),
    sourceOffsets: Float64Array.from(kept, (i) => batch.sourceOffsets[i] ?? 0),
    appendTimes: Float64Array.from(kept, (i) => batch.appendTimes[i] ?? 0),
    arrivals: Float64Array.from(kept, (i) => batch.arrivals[i] ?? Number.NaN),
  };
}

function cursorAt(batch: EventBatch, i: number): Cursor {
  return {
    time: batch.events[i]?.time ?? 0,
    importId: batch.importIds[i] ?? '',
    partition: batch.sourcePartitions[i] ?? 0,
    offset: batch.sourceOffsets[i] ?? 0,
  };
}

/**
 * Accepted events of a source in order of (time, import, partition, offset), each lineage once. The next page
 * is fetched while the caller works on this one. Throws WarehouseError.
 */
export async function* readEvents(
  warehouse: Warehouse,
  project: Pick<Project, 'prefix'>,
  source: Source,
  options: ReadEventsOptions,
): AsyncGenerator<EventBatch> {
  const { pageRows = PAGE_ROWS } = options;
  const wanted = options.columns === undefined ? undefined : new Set(options.columns);
  const fields = source.fields.filter(({ name }) => wanted === undefined || wanted.has(name));
  const table = tables.events(project.prefix, source.name);
  const template: EventRecord = Object.assign(
    { id: '', type: '', time: 0 },
    Object.fromEntries(fields.map(({ name }) => [name, null])),
  );
  const fetchPage = (cursor: Cursor | undefined) =>
    retrying(async () => gather(await warehouse.stream(pageSql(table, fields, options, cursor, pageRows))));

  let page: Promise<Uint8Array> | undefined = fetchPage(undefined);
  let cursor: Cursor | undefined;
  while (page !== undefined) {
    const batches: EventBatch[] = [];
    let rows = 0;
    const before = cursor;
    for (const block of readBlocks(await page)) {
      rows += block.rows;
      const [importIds, partitions, offsets, appends, arrivals] = block.columns.slice(3 + fields.length);
      const batch: EventBatch = {
        events: eventsOf(block, fields, template),
        importIds: asStrings(importIds?.values),
        sourcePartitions: partitions?.values as Int32Array,
        sourceOffsets: asNumbers(offsets?.values),
        appendTimes: asNumbers(appends?.values),
        arrivals: asNumbers(arrivals?.values),
      };
      const fresh = withoutRepeats(batch, batches.length === 0 ? before : cursor);
      cursor = cursorAt(batch, batch.events.length - 1);
      if (fresh.events.length > 0) batches.push(fresh);
    }
    page = rows < pageRows ? undefined : fetchPage(cursor);
    // Its failure is thrown when its turn comes; until then it is nobody's unhandled rejection.
    page?.catch(() => undefined);
    yield* batches;
  }
}
