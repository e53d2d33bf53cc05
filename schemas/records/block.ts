// Generated from avro/block.avsc by `npm run generate`. Do not edit.
import type { Schema } from 'avsc';

/** What one flush of ingest sends to one partition of a view: a section for each source partition in it. */
export interface Block {
  /** Format version of the block; an unknown one is refused. */
  readonly format: number;
  readonly sections: ReadonlyArray<Section>;
}

/** Contributions of one source partition, in source order, and what is known of that partition. Without contributions it is a marker. */
export interface Section {
  /** Raw topic. */
  readonly topic: string;
  readonly partition: number;
  /** Number of partitions of the raw topic. */
  readonly partitions: number;
  /** The log of this view holds every contribution of the source offsets from here to `to`, in this section or before it. */
  readonly from: number;
  /** Last source offset told of; from - 1 where none is. */
  readonly to: number;
  /** Largest accepted event time or clock up to `to`, epoch ms; null before the first. */
  readonly runningMax: number | null;
  /** No event below it is expected any more, epoch ms: runningMax - outOfOrderness, or later where the partition was at its end. */
  readonly watermark: number | null;
  /** Whether a clock record set the running maximum. */
  readonly byClock: boolean;
  /** The partition has had nothing for its idle time, live, at its end. */
  readonly idle: boolean;
  /** Grows with every owner of the partition, and when it falls idle or wakes; what an older turn says of idleness does not count. */
  readonly turn: number;
  /** When the broker appended the raw record at `to`, epoch ms. */
  readonly appendTime: number | null;
  /** A replay has begun and not ended on this partition. */
  readonly clockOpen: boolean;
  readonly history: HistorySection | null;
  readonly contributions: ReadonlyArray<Contribution>;
}

/** Written by a backfill: Kafka alone is not all of this state. */
export interface HistorySection {
  readonly imports: ReadonlyArray<string>;
  /** Event time to which state was built, epoch ms. */
  readonly until: number;
  /** Nothing happened before the first imported event. */
  readonly whole: boolean;
}

/** What one event gives to one entity of a view. */
export interface Contribution {
  /** Source offset. */
  readonly offset: number;
  /** Event time, epoch ms. */
  readonly time: number;
  /** The view's second time, epoch ms. */
  readonly at: number | null;
  readonly entity: string;
  /** One scaled integer per input of the view. */
  readonly values: ReadonlyArray<number | null>;
}

export const blockSchema: Schema = {
  type: 'record',
  name: 'Block',
  namespace: 'millrace',
  doc: 'What one flush of ingest sends to one partition of a view: a section for each source partition in it.',
  fields: [
    { name: 'format', type: 'int', doc: 'Format version of the block; an unknown one is refused.' },
    {
      name: 'sections',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Section',
          doc: 'Contributions of one source partition, in source order, and what is known of that partition. Without contributions it is a marker.',
          fields: [
            { name: 'topic', type: 'string', doc: 'Raw topic.' },
            { name: 'partition', type: 'int' },
            { name: 'partitions', type: 'int', doc: 'Number of partitions of the raw topic.' },
            {
              name: 'from',
              type: 'long',
              doc: 'The log of this view holds every contribution of the source offsets from here to `to`, in this section or before it.',
            },
            { name: 'to', type: 'long', doc: 'Last source offset told of; from - 1 where none is.' },
            {
              name: 'runningMax',
              type: ['null', 'long'],
              doc: 'Largest accepted event time or clock up to `to`, epoch ms; null before the first.',
            },
            {
              name: 'watermark',
              type: ['null', 'long'],
              doc: 'No event below it is expected any more, epoch ms: runningMax - outOfOrderness, or later where the partition was at its end.',
            },
            { name: 'byClock', type: 'boolean', doc: 'Whether a clock record set the running maximum.' },
            {
              name: 'idle',
              type: 'boolean',
              doc: 'The partition has had nothing for its idle time, live, at its end.',
            },
            {
              name: 'turn',
              type: 'long',
              default: 0,
              doc: 'Grows with every owner of the partition, and when it falls idle or wakes; what an older turn says of idleness does not count.',
            },
            {
              name: 'appendTime',
              type: ['null', 'long'],
              default: null,
              doc: 'When the broker appended the raw record at `to`, epoch ms.',
            },
            {
              name: 'clockOpen',
              type: 'boolean',
              doc: 'A replay has begun and not ended on this partition.',
            },
            {
              name: 'history',
              type: [
                'null',
                {
                  type: 'record',
                  name: 'HistorySection',
                  doc: 'Written by a backfill: Kafka alone is not all of this state.',
                  fields: [
                    { name: 'imports', type: { type: 'array', items: 'string' } },
                    { name: 'until', type: 'long', doc: 'Event time to which state was built, epoch ms.' },
                    {
                      name: 'whole',
                      type: 'boolean',
                      default: false,
                      doc: 'Nothing happened before the first imported event.',
                    },
                  ],
                },
              ],
              default: null,
            },
            {
              name: 'contributions',
              type: {
                type: 'array',
                items: {
                  type: 'record',
                  name: 'Contribution',
                  doc: 'What one event gives to one entity of a view.',
                  fields: [
                    { name: 'offset', type: 'long', doc: 'Source offset.' },
                    { name: 'time', type: 'long', doc: 'Event time, epoch ms.' },
                    { name: 'at', type: ['null', 'long'], doc: "The view's second time, epoch ms." },
                    { name: 'entity', type: 'string' },
                    {
                      name: 'values',
                      type: { type: 'array', items: ['null', 'long'] },
                      doc: 'One scaled integer per input of the view.',
                    },
                  ],
                },
              },
            },
          ],
        },
      },
    },
  ],
};
