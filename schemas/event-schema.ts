import type { Schema } from 'avsc';
import { type Codec, createCodec } from './codec.ts';
import type { EventRecord, FieldType, ValidatedEvent } from './event.ts';
import type { Source } from './project.ts';

/** Avro schemas of a source's topics, derived from its declaration. A new field is null in old records. */

const TIMESTAMP = { type: 'long', logicalType: 'timestamp-millis' } as const;

const AVRO_TYPES: Readonly<Record<FieldType, string | typeof TIMESTAMP>> = {
  string: 'string',
  int: 'long',
  double: 'double',
  bool: 'boolean',
  timestamp: TIMESTAMP,
};

/** `name` as Avro allows it: letters, digits and _, no digit first. */
function avroName(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=[0-9])/, '_');
}

const namespaceOf = (prefix: string) => prefix.split('.').map(avroName).join('.');

/** Record of the raw topic of a source whose format is Avro of ours; it decodes to an EventRecord. */
export function rawSchema(source: Source, prefix: string): Schema {
  return {
    type: 'record',
    name: `${avroName(source.name)}_event`,
    namespace: namespaceOf(prefix),
    doc: `An event of ${source.name}. Fields that its type lacks are null.`,
    fields: [
      { name: 'id', type: 'string', doc: 'Unique in the source.' },
      { name: 'type', type: 'string', doc: source.events.map((event) => event.name).join(', ') },
      { name: 'time', type: TIMESTAMP, doc: 'Event time, epoch ms.' },
      ...source.fields.map((field) => ({
        name: field.name,
        type: ['null', AVRO_TYPES[field.type]] as unknown as Schema,
        default: null,
      })),
    ],
  };
}

/** Record of the validated topic, whatever the format of the raw one; it decodes to a ValidatedEvent. */
export function validatedSchema(source: Source, prefix: string): Schema {
  return {
    type: 'record',
    name: `${avroName(source.name)}_validated`,
    namespace: namespaceOf(prefix),
    doc: `An accepted event of ${source.name}, and where it came from.`,
    fields: [
      { name: 'offset', type: 'long', doc: 'Offset in the raw topic; the partition is the same in both.' },
      { name: 'appendTime', type: 'long', doc: 'When the broker appended the raw record, epoch ms.' },
      {
        name: 'arrivedAt',
        type: ['null', 'long'],
        default: null,
        doc: 'When the event first arrived at Kafka, epoch ms; null for history that does not say.',
      },
      { name: 'event', type: rawSchema(source, prefix) },
    ],
  };
}

export function createRawCodec(source: Source, prefix: string, id: number): Codec<EventRecord> {
  return createCodec(rawSchema(source, prefix), id);
}

export function createValidatedCodec(source: Source, prefix: string, id: number): Codec<ValidatedEvent> {
  return createCodec(validatedSchema(source, prefix), id);
}
