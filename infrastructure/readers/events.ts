import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { createEventMapper, type EventMapper } from '../../schemas/event-mapping.ts';
import type { EventMapping, Source } from '../../schemas/project.ts';
import { HistoryFileError } from './errors.ts';
import { orderedFile } from './ordered.ts';
import { queryParquet } from './parquet.ts';
import type { HistoryFile } from './port.ts';

/**
 * Reads any Parquet (`*.parquet`) or JSON lines file that has the source's columns: `id`, `type`, `time`
 * (epoch ms, or a date with its zone) and the declared fields; for a source with a mapping, what the mapping
 * names. The file need not be in order of time; it is held in memory. Throws HistoryFileError.
 */
export async function openEvents(path: string, source: Source): Promise<HistoryFile> {
  const hash = createHash('sha256');
  const parquet = path.endsWith('.parquet');
  const lines = parquet ? parquetLines(path) : textLines(path, (bytes) => hash.update(bytes));
  const events: EventRecord[] = [];
  let map: EventMapper | null = null;
  let ordered = true;
  for await (const line of lines) {
    const row = events.length;
    // As editors and `sed -n` count.
    const at = `${path}, ${parquet ? 'row' : 'line'} ${row + 1}`;
    if (line === '') throw new HistoryFileError(`${at}: it is empty.`);
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch (cause) {
      throw new HistoryFileError(
        `${at}: it is no JSON. Write one JSON object a line; where the file was cut short, fetch it again.`,
        { cause },
      );
    }
    map ??= createEventMapper(source, mappingOf(source, record));
    const event = map(record);
    if (event instanceof DecodeFailure) throw new HistoryFileError(`${at}: ${event.detail}.`);
    if (row > 0 && event.time < (events[row - 1] as EventRecord).time) ordered = false;
    events.push(event);
  }
  if (parquet) for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  return inMemory(path, hash.digest('hex'), events, ordered);
}

/** A file whose events are all at hand, in file order. */
export function inMemory(
  path: string,
  sha256: string,
  events: readonly EventRecord[],
  ordered: boolean,
): HistoryFile {
  const timeOf = (row: number) => (events[row] as EventRecord).time;
  const order = Uint32Array.from(events, (_, row) => row);
  if (!ordered) order.sort((a, b) => timeOf(a) - timeOf(b) || a - b);
  return orderedFile({
    path,
    sha256,
    rows: events.length,
    duplicates: 0,
    events: events.length,
    timeAt: (place) => timeOf(order[place] as number),
    maker: () => (start, end) => {
      const rows = order.subarray(start, end);
      return {
        events: Array.from(rows, (row) => events[row] as EventRecord),
        places: Float64Array.from(rows, (_, k) => start + k),
        rows: Float64Array.from(rows),
      };
    },
  });
}

function mappingOf(source: Source, first: unknown): EventMapping {
  if (source.format.kind !== 'avro') return source.format.mapping;
  const time = typeof first === 'object' && first !== null && 'time' in first ? first.time : null;
  return {
    id: 'id',
    type: { path: 'type' },
    time: { path: 'time', unit: typeof time === 'string' ? 'iso' : 'ms' },
    fields: Object.fromEntries(source.fields.map((field) => [field.name, field.name])),
  };
}

async function* parquetLines(path: string): AsyncGenerator<string> {
  const sql = `SELECT * FROM {file} SETTINGS max_threads = 1, input_format_parquet_preserve_order = 1,
    output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso' FORMAT JSONEachRow`;
  yield* splitLines(queryParquet(path, sql));
}

async function* textLines(path: string, seen: (bytes: Uint8Array) => void): AsyncGenerator<string> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for await (const bytes of createReadStream(path)) {
      seen(bytes as Uint8Array);
      yield bytes as Uint8Array;
    }
  }
  try {
    yield* splitLines(pieces());
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined || cause instanceof HistoryFileError) throw cause;
    throw new HistoryFileError(`${path} cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

/** Lines without their ends; an unfinished last line counts as one. */
async function* splitLines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of pieces) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
