// Generated from avro/prediction.avsc by `npm run generate`. Do not edit.
import type { Schema } from 'avsc';

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
  /** Reads whose features are null whatever their events: the model allows it. */
  readonly absent: ReadonlyArray<AbsentRead>;
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

export interface AbsentRead {
  readonly read: string;
  /** missing_key: the request has no key for it. stale: its state was older than the read's max_age. */
  readonly reason: AbsentReason;
}

export const ABSENT_REASONS = ['missing_key', 'stale'] as const;
export type AbsentReason = (typeof ABSENT_REASONS)[number];

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
    {
      name: 'absent',
      doc: 'Reads whose features are null whatever their events: the model allows it.',
      default: [],
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'AbsentRead',
          fields: [
            { name: 'read', type: 'string' },
            {
              name: 'reason',
              type: { type: 'enum', name: 'AbsentReason', symbols: ['missing_key', 'stale'] },
              doc: "missing_key: the request has no key for it. stale: its state was older than the read's max_age.",
            },
          ],
        },
      },
    },
  ],
};
