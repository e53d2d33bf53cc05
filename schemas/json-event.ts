import { Buffer } from 'node:buffer';
import { asBuffer } from './avro.ts';
import { DecodeFailure } from './codec.ts';
import type { EventRecord } from './event.ts';
import { createEventMapper } from './event-mapping.ts';
import type { EventMapping, Source } from './project.ts';

/** Kafka's own default for the largest record. V8 parses without recursion, so depth needs no bound of its own. */
const MAX_JSON_BYTES = 1_048_576;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decoder of a source of JSON records. */
export function createJsonDecoder(
  source: Source,
  mapping: EventMapping,
  maxBytes: number = MAX_JSON_BYTES,
): (bytes: Uint8Array) => EventRecord | DecodeFailure {
  const map = createEventMapper(source, mapping);
  return function decodeJson(bytes) {
    if (bytes.length > maxBytes) {
      return new DecodeFailure('bad_json', `the record has ${bytes.length} bytes; ${maxBytes} are allowed`);
    }
    let record: unknown;
    try {
      record = JSON.parse(textOf(bytes));
    } catch (error) {
      return new DecodeFailure(
        'bad_json',
        `the record is no JSON: ${(error as Error).message.slice(0, 200)}`,
      );
    }
    return map(record);
  };
}

/** Buffer's own decoder is faster, but puts U+FFFD for what is no UTF-8: only then ask the strict one, which throws. */
function textOf(bytes: Uint8Array): string {
  const text = asBuffer(bytes).toString('utf8');
  return text.includes('\uFFFD') ? utf8.decode(bytes) : text;
}

/** Writes events as the records that `createJsonDecoder` reads back the same; for tests, tools and producers of ours. */
export function createJsonEncoder(source: Source, mapping: EventMapping): (event: EventRecord) => Uint8Array {
  const places: Array<readonly [path: readonly string[], of: (event: EventRecord) => unknown]> = [
    [mapping.id.split('.'), (event) => event.id],
    [mapping.time.path.split('.'), (event) => timeAs(event.time, mapping.time.unit)],
    ...source.fields.flatMap(({ name }) => {
      const path = Object.hasOwn(mapping.fields, name) ? mapping.fields[name] : undefined;
      return path === undefined ? [] : [[path.split('.'), (event: EventRecord) => event[name]] as const];
    }),
  ];
  if ('path' in mapping.type) places.push([mapping.type.path.split('.'), (event) => event.type]);
  return function encodeJson(event) {
    const record: Record<string, unknown> = {};
    for (const [path, of] of places) put(record, path, of(event) ?? null);
    return Buffer.from(JSON.stringify(record));
  };
}

function timeAs(time: number, unit: 'ms' | 's' | 'iso'): unknown {
  return unit === 'ms' ? time : unit === 's' ? time / 1000 : new Date(time).toISOString();
}

function put(record: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let inner = record;
  for (const step of path.slice(0, -1)) {
    inner[step] ??= {};
    inner = inner[step] as Record<string, unknown>;
  }
  const last = path.at(-1);
  if (last !== undefined) inner[last] = value;
}
