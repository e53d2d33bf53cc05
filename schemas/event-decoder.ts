import { createValueReader, parseSchema, type TimeUnit, timeUnitAt, type ValueReader } from './avro.ts';
import { DecodeFailure, readWire, WIRE_HEADER, wireId } from './codec.ts';
import type { Envelope } from './envelope.ts';
import type { EventRecord } from './event.ts';
import { createEventMapper, type EventMapper } from './event-mapping.ts';
import { rawSchema } from './event-schema.ts';
import { createJsonDecoder } from './json-event.ts';
import type { EventMapping, Source } from './project.ts';
import { registeredSchema, type SchemaText } from './registered-schema.ts';
import { isTime, looksLikeSeconds, notATime, toMs } from './time-unit.ts';

/**
 * Decoder of the raw records of one source, whatever its format, synchronous over a whole batch: first ask which
 * schema ids the batch brings that are not learnt yet, resolve them all at the registry, learn what it knows, then
 * decode. An id that the registry does not know is asked for again with every batch: it may come to be known, and
 * the registry's client remembers refusals for a while.
 */
export interface EventDecoder {
  /** Schema ids among these records that have not been learnt. Always empty for JSON. */
  unknownIds(values: ReadonlyArray<Uint8Array | null>): readonly number[];
  /** A schema of the registry. Answers why it is of no use to this source, if so; its records are then refused with that. */
  learn(id: number, schema: SchemaText): DecodeFailure | null;
  /** `envelope`: what the record says beside its value. */
  decode(value: Uint8Array | null, envelope?: Envelope): EventRecord | DecodeFailure;
}

/** Makes events of the records of one schema, whose id they begin with. */
type Reading = (value: Uint8Array, envelope?: Envelope) => EventRecord | DecodeFailure;

const NO_VALUE = new DecodeFailure('null_value', 'the record has no value, and it is no clock record');

export function createEventDecoder(source: Source, prefix: string): EventDecoder {
  if (source.format.kind === 'json') {
    const decode = createFramedJsonDecoder(source, source.format.mapping);
    return {
      unknownIds: () => [],
      learn: () => null,
      decode: (value, envelope) => (value === null ? NO_VALUE : decode(value, envelope)),
    };
  }
  const { format } = source;
  const known = new Map<number, Reading | DecodeFailure>();
  const own = format.kind === 'avro' ? parseSchema(rawSchema(source, prefix)) : null;
  return {
    unknownIds(values) {
      const ids = new Set<number>();
      for (const value of values) {
        const id = value === null ? null : wireId(value);
        if (typeof id === 'number' && !known.has(id)) ids.add(id);
      }
      return [...ids];
    },
    learn(id, schema) {
      const answer = readerOf(schema, id);
      known.set(id, answer);
      return answer instanceof DecodeFailure ? answer : null;
    },
    decode(value, envelope) {
      if (value === null) return NO_VALUE;
      const id = wireId(value);
      if (typeof id !== 'number') return id;
      const reading = known.get(id) ?? unknown(id);
      return reading instanceof DecodeFailure ? reading : reading(value, envelope);
    },
  };

  function unknown(id: number): DecodeFailure {
    return new DecodeFailure(
      'unknown_schema',
      `the record names schema ${id}, which the registry does not know`,
    );
  }

  function readerOf(registered: SchemaText, id: number): Reading | DecodeFailure {
    const { type, text, references } = registeredSchema(registered);
    if (type === 'JSON' && format.kind === 'registry') return createFramedJsonDecoder(source, format.mapping);
    if (type !== 'AVRO')
      return new DecodeFailure(
        'unsupported_schema',
        `the record's schema ${id} is of the kind ${type}; the source ${source.name} reads Avro${format.kind === 'registry' ? ' and JSON' : ''}`,
      );
    try {
      const writer = parseSchema(text, references);
      const unitAt = (path: readonly string[]) => timeUnitAt(writer, path);
      if (own !== null) return readingOf(createValueReader(writer, own), createOwnCheck(source, unitAt));
      const map: EventMapper =
        format.kind === 'registry'
          ? createEventMapper(source, format.mapping, unitAt)
          : (record) => record as EventRecord;
      return readingOf(createValueReader(writer), map);
    } catch (error) {
      return new DecodeFailure(
        'unknown_schema',
        `the record's schema ${id} does not fit the source ${source.name}: ${(error as Error).message}`,
      );
    }
  }
}

function readingOf(read: ValueReader, map: EventMapper): Reading {
  return (value, envelope) => {
    const record = readWire(read, value);
    return record instanceof DecodeFailure ? record : map(record, undefined, envelope);
  };
}

/** Reads JSON with or without the id of a schema before it; a text of JSON never begins with a zero byte. */
function createFramedJsonDecoder(source: Source, mapping: EventMapping): Reading {
  const decode = createJsonDecoder(source, mapping);
  return (value, envelope) => {
    if (value[0] !== 0) return decode(value, envelope);
    const id = wireId(value);
    if (typeof id !== 'number') return id;
    const event = decode(value.subarray(WIRE_HEADER), envelope);
    return event instanceof DecodeFailure && event.code === 'bad_json'
      ? new DecodeFailure(
          'bad_json',
          `the record begins with the id of a schema (${id}), and what follows is no JSON: is it Avro (declare format: registry) or Protobuf, which is not read?`,
        )
      : event;
  };
}

/**
 * Checks the numbers of records that were read as events: whole numbers that no double holds are refused by name, and times that
 * the writer's schema counts in another unit become milliseconds.
 */
function createOwnCheck(
  { fields }: Source,
  unitAt: (path: readonly string[]) => TimeUnit | null,
): EventMapper {
  const times = ['time', ...fields.flatMap(({ name, type }) => (type === 'timestamp' ? [name] : []))].map(
    (name) => ({ name, unit: unitAt([name]) ?? 'ms' }),
  );
  const names = ['time', ...fields.map(({ name }) => name)];
  return function checkNumbers(record) {
    const event = record as Record<string, unknown>;
    for (const { name, unit } of times) {
      const value = event[name];
      if (typeof value !== 'number' && typeof value !== 'bigint') continue;
      const time = toMs(value, unit);
      if (!isTime(time) || (name === 'time' && unit === 'ms' && looksLikeSeconds(time)))
        return new DecodeFailure('bad_envelope', `the field ${name} is ${value}, ${notATime(value, unit)}`);
      event[name] = time;
    }
    for (const name of names)
      if (typeof event[name] === 'bigint')
        return new DecodeFailure(
          'bad_envelope',
          `the field ${name} is ${event[name]}, which is beyond the whole numbers that are kept exactly (±${Number.MAX_SAFE_INTEGER})`,
        );
    return event as EventRecord;
  };
}
