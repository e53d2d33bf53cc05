// Generated from avro/*.avsc by `npm run generate`. Do not edit.
import type { Schema } from 'avsc';

/** One change of one alert. The same change made twice has the same id. */
export interface Alert {
  readonly format: number;
  /** Of the change: fingerprint and number of the change. Receivers drop repeats by it. */
  readonly id: string;
  /** Of the alert: rule, model, subject and slice, hashed. */
  readonly fingerprint: string;
  /** 1, 2, ... of this fingerprint. */
  readonly change: number;
  readonly rule: string;
  readonly severity: string;
  readonly state: AlertState;
  /** Kind of the measure. */
  readonly kind: string;
  readonly statistic: string;
  readonly model: string;
  readonly version: number;
  readonly subject: string;
  readonly slice: string;
  readonly value: number | null;
  readonly threshold: number | null;
  /** One sentence for a person. */
  readonly summary: string;
  /** Event time at which it changed, epoch ms. */
  readonly tick: number;
  /** Event time since which the condition holds, epoch ms. */
  readonly startedAt: number;
  /** Event time (tick) at which it fired, epoch ms; null while it is pending, and where it was resolved before it fired. */
  readonly firedAt: number | null;
  /** Event time since which the condition does not hold any more, epoch ms; null until it is resolved. */
  readonly endedAt: number | null;
  /** Wall clock, epoch ms. */
  readonly at: number;
}

export const ALERT_STATES = ['pending', 'firing', 'resolved'] as const;
export type AlertState = (typeof ALERT_STATES)[number];

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
  /** runningMax - outOfOrderness. */
  readonly watermark: number | null;
  /** Whether a clock record set the running maximum. */
  readonly byClock: boolean;
  /** The partition has had nothing for its idle time, live, at its end. */
  readonly idle: boolean;
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

/** A record that was not taken, whole, with the reason. */
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
  readonly eventId: string | null;
  readonly eventTime: number | null;
  /** `ingest`, or name@version:partition of the view that refused the contribution. */
  readonly writer: string;
  readonly key: Uint8Array | null;
  /** The raw record; null where a view refused (the raw record stands in the raw topic and the event was accepted). */
  readonly value: Uint8Array | null;
}

/** One change of the registry: an append-only log on a compacted topic. Each change has a key of its own, so that compaction removes none. */
export interface ModelVersion {
  readonly format: number;
  readonly model: string;
  /** 1, 2, ... */
  readonly version: number;
  readonly state: ModelState;
  /** SHA-256 of the artefact. */
  readonly artefact: string;
  /** Where the artefact store keeps it. */
  readonly location: string;
  readonly layout: string;
  /** When it was said, epoch ms, wall clock. */
  readonly at: number;
  readonly by: string;
  readonly reason: string;
  /** JSON: metrics the change rests on. */
  readonly evidence: string;
  /** 1, 2, ... of this model. It counts where it is the next number and names the change before it in `after`: of two hands the first. */
  readonly change: number;
  /** Of the change, so that its writer finds its own. */
  readonly id: string;
  /** Id of the change of this model that it was decided on; empty for the first. */
  readonly after: string;
  /** Of a version that becomes champion: what the champion before becomes, challenger (in shadow, as its guard) or retired; null where there is none. */
  readonly former: ModelState | null;
  /** Event time from which it holds, epoch ms; null = at once. */
  readonly effectiveFrom: number | null;
  /** Run of the pipeline that said it. */
  readonly run: string | null;
}

export const MODEL_STATES = ['candidate', 'challenger', 'champion', 'retired'] as const;
export type ModelState = (typeof MODEL_STATES)[number];

/** One answer to one request: enough to explain it and to compute its score again. */
export interface Prediction {
  readonly format: number;
  /** requestId + ':' + model. The first record of an id in its partition counts. */
  readonly id: string;
  readonly requestId: string;
  /** Event time of the request, epoch ms. */
  readonly requestTime: number;
  readonly status: PredictionStatus;
  /** Why it was refused. */
  readonly reason: string | null;
  readonly model: string;
  /** 0 where no model was there. */
  readonly modelVersion: number;
  /** SHA-256 of the artefact that scored. */
  readonly artefact: string;
  readonly score: number | null;
  readonly decision: boolean | null;
  /** Hash of the names of the vector. */
  readonly layout: string;
  /** Feature vector, NaN for null; empty where refused before the read. */
  readonly vector: ReadonlyArray<number>;
  readonly reads: ReadonlyArray<ViewReading>;
  /** Raw topic. */
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  readonly sourceOffset: number;
  /** When the broker appended the raw event, epoch ms. */
  readonly rawAppendTime: number;
  /** Time at the gate. */
  readonly waitMs: number;
  /** Time of the batch's read. */
  readonly readMs: number;
  /** Time of the batch's decoding and scoring. */
  readonly scoreMs: number;
}

export const PREDICTION_STATUSES = ['scored', 'refused'] as const;
export type PredictionStatus = (typeof PREDICTION_STATUSES)[number];

export interface ViewReading {
  readonly read: string;
  /** name@version */
  readonly view: string;
  readonly entity: string;
  /** The young edge the request's time asks for, epoch ms. */
  readonly head: number;
  /** The young edge that was read: head, or the frontier's where that is older. */
  readonly asOf: number;
  readonly sketchAsOf: number | null;
  /** requestTime - asOf. */
  readonly ageMs: number;
}

/** avro/alert.avsc */
export const alertSchema: Schema = {
  type: 'record',
  name: 'Alert',
  namespace: 'millrace',
  doc: 'One change of one alert. The same change made twice has the same id.',
  fields: [
    { name: 'format', type: 'int' },
    {
      name: 'id',
      type: 'string',
      doc: 'Of the change: fingerprint and number of the change. Receivers drop repeats by it.',
    },
    { name: 'fingerprint', type: 'string', doc: 'Of the alert: rule, model, subject and slice, hashed.' },
    { name: 'change', type: 'int', doc: '1, 2, ... of this fingerprint.' },
    { name: 'rule', type: 'string' },
    { name: 'severity', type: 'string' },
    { name: 'state', type: { type: 'enum', name: 'AlertState', symbols: ['pending', 'firing', 'resolved'] } },
    { name: 'kind', type: 'string', doc: 'Kind of the measure.' },
    { name: 'statistic', type: 'string' },
    { name: 'model', type: 'string' },
    { name: 'version', type: 'int' },
    { name: 'subject', type: 'string' },
    { name: 'slice', type: 'string' },
    { name: 'value', type: ['null', 'double'] },
    { name: 'threshold', type: ['null', 'double'] },
    { name: 'summary', type: 'string', doc: 'One sentence for a person.' },
    { name: 'tick', type: 'long', doc: 'Event time at which it changed, epoch ms.' },
    { name: 'startedAt', type: 'long', doc: 'Event time since which the condition holds, epoch ms.' },
    {
      name: 'firedAt',
      type: ['null', 'long'],
      doc: 'Event time (tick) at which it fired, epoch ms; null while it is pending, and where it was resolved before it fired.',
    },
    {
      name: 'endedAt',
      type: ['null', 'long'],
      doc: 'Event time since which the condition does not hold any more, epoch ms; null until it is resolved.',
    },
    { name: 'at', type: 'long', doc: 'Wall clock, epoch ms.' },
  ],
};

/** avro/block.avsc */
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
            { name: 'watermark', type: ['null', 'long'], doc: 'runningMax - outOfOrderness.' },
            { name: 'byClock', type: 'boolean', doc: 'Whether a clock record set the running maximum.' },
            {
              name: 'idle',
              type: 'boolean',
              doc: 'The partition has had nothing for its idle time, live, at its end.',
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

/** avro/dead-letter.avsc */
export const deadLetterSchema: Schema = {
  type: 'record',
  name: 'DeadLetter',
  namespace: 'millrace',
  doc: 'A record that was not taken, whole, with the reason.',
  fields: [
    { name: 'format', type: 'int' },
    { name: 'stage', type: 'string' },
    { name: 'code', type: 'string' },
    { name: 'detail', type: 'string' },
    { name: 'sourceTopic', type: 'string' },
    { name: 'sourcePartition', type: 'int' },
    { name: 'sourceOffset', type: 'long' },
    { name: 'appendTime', type: 'long', doc: 'Epoch ms.' },
    { name: 'eventId', type: ['null', 'string'], default: null },
    { name: 'eventTime', type: ['null', 'long'], default: null },
    {
      name: 'writer',
      type: 'string',
      doc: '`ingest`, or name@version:partition of the view that refused the contribution.',
    },
    { name: 'key', type: ['null', 'bytes'], default: null },
    {
      name: 'value',
      type: ['null', 'bytes'],
      default: null,
      doc: 'The raw record; null where a view refused (the raw record stands in the raw topic and the event was accepted).',
    },
  ],
};

/** avro/model-version.avsc */
export const modelVersionSchema: Schema = {
  type: 'record',
  name: 'ModelVersion',
  namespace: 'millrace',
  doc: 'One change of the registry: an append-only log on a compacted topic. Each change has a key of its own, so that compaction removes none.',
  fields: [
    { name: 'format', type: 'int' },
    { name: 'model', type: 'string' },
    { name: 'version', type: 'int', doc: '1, 2, ...' },
    {
      name: 'state',
      type: { type: 'enum', name: 'ModelState', symbols: ['candidate', 'challenger', 'champion', 'retired'] },
    },
    { name: 'artefact', type: 'string', doc: 'SHA-256 of the artefact.' },
    { name: 'location', type: 'string', doc: 'Where the artefact store keeps it.' },
    { name: 'layout', type: 'string' },
    { name: 'at', type: 'long', doc: 'When it was said, epoch ms, wall clock.' },
    { name: 'by', type: 'string' },
    { name: 'reason', type: 'string' },
    { name: 'evidence', type: 'string', doc: 'JSON: metrics the change rests on.' },
    {
      name: 'change',
      type: 'int',
      default: 0,
      doc: '1, 2, ... of this model. It counts where it is the next number and names the change before it in `after`: of two hands the first.',
    },
    { name: 'id', type: 'string', default: '', doc: 'Of the change, so that its writer finds its own.' },
    {
      name: 'after',
      type: 'string',
      default: '',
      doc: 'Id of the change of this model that it was decided on; empty for the first.',
    },
    {
      name: 'former',
      type: ['null', 'ModelState'],
      default: null,
      doc: 'Of a version that becomes champion: what the champion before becomes, challenger (in shadow, as its guard) or retired; null where there is none.',
    },
    {
      name: 'effectiveFrom',
      type: ['null', 'long'],
      default: null,
      doc: 'Event time from which it holds, epoch ms; null = at once.',
    },
    { name: 'run', type: ['null', 'string'], default: null, doc: 'Run of the pipeline that said it.' },
  ],
};

/** avro/prediction.avsc */
export const predictionSchema: Schema = {
  type: 'record',
  name: 'Prediction',
  namespace: 'millrace',
  doc: 'One answer to one request: enough to explain it and to compute its score again.',
  fields: [
    { name: 'format', type: 'int' },
    {
      name: 'id',
      type: 'string',
      doc: "requestId + ':' + model. The first record of an id in its partition counts.",
    },
    { name: 'requestId', type: 'string' },
    { name: 'requestTime', type: 'long', doc: 'Event time of the request, epoch ms.' },
    { name: 'status', type: { type: 'enum', name: 'PredictionStatus', symbols: ['scored', 'refused'] } },
    { name: 'reason', type: ['null', 'string'], default: null, doc: 'Why it was refused.' },
    { name: 'model', type: 'string' },
    { name: 'modelVersion', type: 'int', doc: '0 where no model was there.' },
    { name: 'artefact', type: 'string', doc: 'SHA-256 of the artefact that scored.' },
    { name: 'score', type: ['null', 'double'] },
    { name: 'decision', type: ['null', 'boolean'] },
    { name: 'layout', type: 'string', doc: 'Hash of the names of the vector.' },
    {
      name: 'vector',
      type: { type: 'array', items: 'double' },
      doc: 'Feature vector, NaN for null; empty where refused before the read.',
    },
    {
      name: 'reads',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'ViewReading',
          fields: [
            { name: 'read', type: 'string' },
            { name: 'view', type: 'string', doc: 'name@version' },
            { name: 'entity', type: 'string' },
            { name: 'head', type: 'long', doc: "The young edge the request's time asks for, epoch ms." },
            {
              name: 'asOf',
              type: 'long',
              doc: "The young edge that was read: head, or the frontier's where that is older.",
            },
            { name: 'sketchAsOf', type: ['null', 'long'], default: null },
            { name: 'ageMs', type: 'long', doc: 'requestTime - asOf.' },
          ],
        },
      },
    },
    { name: 'sourceTopic', type: 'string', doc: 'Raw topic.' },
    { name: 'sourcePartition', type: 'int' },
    { name: 'sourceOffset', type: 'long' },
    { name: 'rawAppendTime', type: 'long', doc: 'When the broker appended the raw event, epoch ms.' },
    { name: 'waitMs', type: 'double', doc: 'Time at the gate.' },
    { name: 'readMs', type: 'double', doc: "Time of the batch's read." },
    { name: 'scoreMs', type: 'double', doc: "Time of the batch's decoding and scoring." },
  ],
};
