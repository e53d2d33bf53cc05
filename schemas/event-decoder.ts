import { createValueReader, parseSchema, type TimeUnit, timeUnitAt, type ValueReader } from './avro.ts';
import { DecodeFailure, readWire, wireId } from './codec.ts';
import type { EventRecord } from './event.ts';
import { createEventMapper, type EventMapper } from './event-mapping.ts';
import { rawSchema } from './event-schema.ts';
import { createJsonDecoder } from './json-event.ts';
import type { Source } from './project.ts';
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
  /** Text of a schema. Answers why it is of no use to this source, if so; its records are then refused with that. */
  learn(id: number, schema: string): DecodeFailure | null;
  decode(value: Uint8Array | null): EventRecord | DecodeFailure;
}

/** How the records of one schema are read, and what makes events of them. */
interface Reading {
  readonly read: ValueReader;
  readonly map: EventMapper;
}

const NO_VALUE = new DecodeFailure('null_value', 'the record has no value, and it is no clock record');

export function createEventDecoder(source: Source, prefix: string): EventDecoder {
  if (source.format.kind === 'json') {
    const decode = createJsonDecoder(source, source.format.mapping);
    return {
      unknownIds: () => [],
      learn: () => null,
      decode: (value) => (value === null ? NO_VALUE : decode(value)),
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
    decode(value) {
      if (value === null) return NO_VALUE;
      const id = wireId(value);
      if (typeof id !== 'number') return id;
      const reading = known.get(id) ?? unknown(id);
      if (reading instanceof DecodeFailure) return reading;
      const record = readWire(reading.read, value);
      return record instanceof DecodeFailure ? record : reading.map(record);
    },
  };

  function unknown(id: number): DecodeFailure {
    return new DecodeFailure(
      'unknown_schema',
      `the record names schema ${id}, which the registry does not know`,
    );
  }

  function readerOf(schema: string, id: number): Reading | DecodeFailure {
    try {
      const writer = parseSchema(schema);
      const unitAt = (path: readonly string[]) => timeUnitAt(writer, path);
      if (own === null)
        return {
          read: createValueReader(writer),
          map:
            format.kind === 'registry'
              ? createEventMapper(source, format.mapping, unitAt)
              : (record) => record as EventRecord,
        };
      return { read: createValueReader(writer, own), map: createOwnCheck(source, unitAt) };
    } catch (error) {
      return new DecodeFailure(
        'unknown_schema',
        `the record's schema ${id} does not fit the source ${source.name}: ${(error as Error).message}`,
      );
    }
  }
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
