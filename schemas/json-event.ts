import { Buffer } from 'node:buffer';
import { asBuffer } from './avro.ts';
import { DecodeFailure } from './codec.ts';
import { type Envelope, stepsOf } from './envelope.ts';
import type { EventRecord } from './event.ts';
import { createEventMapper, ExactNumber } from './event-mapping.ts';
import type { EventMapping, Source } from './project.ts';
import type { DeclaredUnit } from './time-unit.ts';

/** Kafka's own default for the largest record. V8 parses without recursion, so depth needs no bound of its own. */
const MAX_JSON_BYTES = 1_048_576;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decoder of a source of JSON records. */
export function createJsonDecoder(
  source: Source,
  mapping: EventMapping,
  maxBytes: number = MAX_JSON_BYTES,
): (bytes: Uint8Array, envelope?: Envelope) => EventRecord | DecodeFailure {
  const map = createEventMapper(source, mapping);
  return function decodeJson(bytes, envelope) {
    if (bytes.length > maxBytes) {
      return new DecodeFailure('bad_json', `the record has ${bytes.length} bytes; ${maxBytes} are allowed`);
    }
    let text: string;
    let record: unknown;
    try {
      text = textOf(bytes);
      record = JSON.parse(text);
    } catch (error) {
      return new DecodeFailure(
        'bad_json',
        `the record is no JSON: ${(error as Error).message.slice(0, 200)}`,
      );
    }
    return map(record, () => parseWithDigits(text), envelope);
  };
}

type Reviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown;

/** Keeps what stands in the text of each number that is no safe one. Some times slower than without. */
function parseWithDigits(text: string): unknown {
  const reviver: Reviver = (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)
      ? new ExactNumber(source, value)
      : value;
  return (JSON.parse as (text: string, reviver: Reviver) => unknown)(text, reviver);
}

/** Buffer's own decoder is faster, but puts U+FFFD for what is no UTF-8: only then ask the strict one, which throws. */
function textOf(bytes: Uint8Array): string {
  const text = asBuffer(bytes).toString('utf8');
  return text.includes('\uFFFD') ? utf8.decode(bytes) : text;
}

/** Writes events as the records that `createJsonDecoder` reads back the same; for tests, tools and producers of ours. */
export function createJsonEncoder(source: Source, mapping: EventMapping): (event: EventRecord) => Uint8Array {
  const places: Array<readonly [path: readonly string[], of: (event: EventRecord) => unknown]> = [
    [stepsOf(mapping.id), (event) => event.id],
    [stepsOf(mapping.time.path), (event) => timeAs(event.time, mapping.time.unit)],
    ...source.fields.flatMap(({ name }) => {
      const path = Object.hasOwn(mapping.fields, name) ? mapping.fields[name] : undefined;
      return path === undefined ? [] : [[stepsOf(path), (event: EventRecord) => event[name]] as const];
    }),
  ];
  if ('path' in mapping.type) places.push([stepsOf(mapping.type.path), (event) => event.type]);
  return function encodeJson(event) {
    const record: Record<string, unknown> = {};
    for (const [path, of] of places) put(record, path, of(event));
    return Buffer.from(JSON.stringify(record));
  };
}

function timeAs(time: number, unit: DeclaredUnit): unknown {
  switch (unit) {
    case 'ms':
      return time;
    case 's':
      return time / 1000;
    case 'us':
      return time * 1000;
    case 'ns':
      return rawJson(`${BigInt(time) * 1_000_000n}`);
    case 'iso':
      return new Date(time).toISOString();
  }
}

/** A number as it is to be written, which no double holds. */
const rawJson = (JSON as unknown as { rawJSON(text: string): object }).rawJSON;

function put(record: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let inner = record;
  for (const step of path.slice(0, -1)) {
    inner[step] ??= {};
    inner = inner[step] as Record<string, unknown>;
  }
  const last = path.at(-1);
  // Two names may have one path (the id, and a field that names it): what is null of one does not wipe out the other.
  if (last !== undefined) inner[last] = value ?? inner[last] ?? null;
}
