// Generated from avro/model-version.avsc by `npm run generate`. Do not edit.
import type { Schema } from 'avsc';

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
