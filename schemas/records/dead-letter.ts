// Generated from avro/dead-letter.avsc by `npm run generate`. Do not edit.
import type { Schema } from 'avsc';

/** A record that was not taken, whole (or cut, where it is larger than its topic takes), with the reason. */
export interface DeadLetter {
  readonly format: number;
  readonly stage: string;
  readonly code: string;
  readonly detail: string;
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  readonly sourceOffset: number;
  /** Epoch ms. */
  readonly appendTime: number;
  /** When the record first arrived at Kafka, epoch ms; null where a replay does not say, and where a view refused. */
  readonly arrivedAt: number | null;
  readonly eventId: string | null;
  readonly eventTime: number | null;
  /** `ingest`, name@version:partition of the view that refused the contribution, or `inference` and the model whose answer was too large. */
  readonly writer: string;
  readonly key: Uint8Array | null;
  /** The raw record, or its beginning where `valueBytes` is not null; null where a view or a model refused (the raw record stands in the raw topic and the event was accepted). */
  readonly value: Uint8Array | null;
  /** Size of the whole raw value where it is cut here, or of the batch that could not be read; null where the value is whole. */
  readonly valueBytes: number | null;
  /** Its SHA-256, hex. */
  readonly valueSha256: string | null;
  /** Size of the whole raw key where it is cut here. */
  readonly keyBytes: number | null;
  /** Its SHA-256, hex. */
  readonly keySha256: string | null;
  /** Headers of the raw record, the first ones alone where `headersBytes` is not null. */
  readonly headers: ReadonlyArray<LetterHeader>;
  /** Size of all headers of the raw record where some are missing here. */
  readonly headersBytes: number | null;
}

export interface LetterHeader {
  readonly name: string;
  readonly value: Uint8Array;
}

export const deadLetterSchema: Schema = {
  type: 'record',
  name: 'DeadLetter',
  namespace: 'millrace',
  doc: 'A record that was not taken, whole (or cut, where it is larger than its topic takes), with the reason.',
  fields: [
    { name: 'format', type: 'int' },
    { name: 'stage', type: 'string' },
    { name: 'code', type: 'string' },
    { name: 'detail', type: 'string' },
    { name: 'sourceTopic', type: 'string' },
    { name: 'sourcePartition', type: 'int' },
    { name: 'sourceOffset', type: 'long' },
    { name: 'appendTime', type: 'long', doc: 'Epoch ms.' },
    {
      name: 'arrivedAt',
      type: ['null', 'long'],
      default: null,
      doc: 'When the record first arrived at Kafka, epoch ms; null where a replay does not say, and where a view refused.',
    },
    { name: 'eventId', type: ['null', 'string'], default: null },
    { name: 'eventTime', type: ['null', 'long'], default: null },
    {
      name: 'writer',
      type: 'string',
      doc: '`ingest`, name@version:partition of the view that refused the contribution, or `inference` and the model whose answer was too large.',
    },
    { name: 'key', type: ['null', 'bytes'], default: null },
    {
      name: 'value',
      type: ['null', 'bytes'],
      default: null,
      doc: 'The raw record, or its beginning where `valueBytes` is not null; null where a view or a model refused (the raw record stands in the raw topic and the event was accepted).',
    },
    {
      name: 'valueBytes',
      type: ['null', 'long'],
      default: null,
      doc: 'Size of the whole raw value where it is cut here, or of the batch that could not be read; null where the value is whole.',
    },
    { name: 'valueSha256', type: ['null', 'string'], default: null, doc: 'Its SHA-256, hex.' },
    {
      name: 'keyBytes',
      type: ['null', 'long'],
      default: null,
      doc: 'Size of the whole raw key where it is cut here.',
    },
    { name: 'keySha256', type: ['null', 'string'], default: null, doc: 'Its SHA-256, hex.' },
    {
      name: 'headers',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'LetterHeader',
          fields: [
            { name: 'name', type: 'string' },
            { name: 'value', type: 'bytes' },
          ],
        },
      },
      default: [],
      doc: 'Headers of the raw record, the first ones alone where `headersBytes` is not null.',
    },
    {
      name: 'headersBytes',
      type: ['null', 'long'],
      default: null,
      doc: 'Size of all headers of the raw record where some are missing here.',
    },
  ],
};
