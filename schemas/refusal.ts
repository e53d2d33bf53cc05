import { redact } from './redaction.ts';

/** The closed list of reasons a record is not taken, by the stage that refuses it. */
export const REFUSAL_CODES = {
  decode: [
    'null_value',
    'bad_wire_format',
    'unknown_schema',
    'unsupported_schema',
    'bad_avro',
    'bad_json',
    'bad_envelope',
    'bad_clock',
    'unreadable_batch',
    'too_large',
  ],
  validate: ['unknown_type', 'missing_field', 'wrong_type', 'rule_failed', 'misrouted'],
  deduplicate: ['duplicate'],
  lateness: ['late', 'future_time'],
  features: ['late_for_view', 'too_old'],
  inference: ['too_large'],
} as const;

export type Stage = keyof typeof REFUSAL_CODES;
export type RefusalCode = (typeof REFUSAL_CODES)[Stage][number];

/** A refused event is a value, never an exception. `detail` is one sentence for a person. */
export interface Rejected {
  readonly stage: Stage;
  readonly code: RefusalCode;
  readonly detail: string;
}

/** Why a prediction was refused; published under the request's id with status `refused`. */
export const PREDICTION_REFUSALS = [
  'behind',
  'no_frontier',
  'torn',
  'no_model',
  'layout_mismatch',
  'missing_key',
  'stale',
  'too_large',
] as const;
export type PredictionRefusal = (typeof PREDICTION_REFUSALS)[number];

/** Whatever was thrown, as an error. */
export const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown));

/** Base of every failure of the world: `retriable` says whether the same call may succeed later. */
export abstract class MillraceError extends Error {
  abstract readonly code: string;
  abstract readonly retriable: boolean;
  /** No later try in this process can succeed: whoever runs it has to mend something and start again. */
  readonly final: boolean = false;

  constructor(message: string, options?: { cause?: unknown }) {
    // It may be stored, sent and printed by anybody from here on.
    super(redact(message), options);
    this.name = new.target.name;
  }
}
