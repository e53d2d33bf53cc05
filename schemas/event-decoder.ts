import { createValueReader, parseSchema, type ValueReader } from './avro.ts';
import { DecodeFailure, readWire, wireId } from './codec.ts';
import type { EventRecord } from './event.ts';
import { createEventMapper, type EventMapper } from './event-mapping.ts';
import { rawSchema } from './event-schema.ts';
import { createJsonDecoder } from './json-event.ts';
import type { Source } from './project.ts';

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
  const known = new Map<number, ValueReader | DecodeFailure>();
  const own = source.format.kind === 'avro' ? parseSchema(rawSchema(source, prefix)) : null;
  const map: EventMapper | null =
    source.format.kind === 'registry' ? createEventMapper(source, source.format.mapping) : null;
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
      const read = known.get(id) ?? unknown(id);
      if (read instanceof DecodeFailure) return read;
      const record = readWire(read, value);
      if (map === null || record instanceof DecodeFailure) return record as EventRecord | DecodeFailure;
      return map(record);
    },
  };

  function unknown(id: number): DecodeFailure {
    return new DecodeFailure(
      'unknown_schema',
      `the record names schema ${id}, which the registry does not know`,
    );
  }

  function readerOf(schema: string, id: number): ValueReader | DecodeFailure {
    try {
      const writer = parseSchema(schema);
      return own === null ? createValueReader(writer) : createValueReader(writer, own);
    } catch (error) {
      return new DecodeFailure(
        'unknown_schema',
        `the record's schema ${id} does not fit the source ${source.name}: ${(error as Error).message}`,
      );
    }
  }
}
