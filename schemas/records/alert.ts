// Generated from avro/alert.avsc by `npm run generate`. Do not edit.
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
