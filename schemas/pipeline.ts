import type { TrainerChoice } from './trainer.ts';

/** What a step does. Every kind is a command too: `millrace pipelines step KIND`. */
export const STEP_KINDS = [
  'dataset',
  'tune',
  'train',
  'evaluate',
  'gate',
  'register',
  'shadow',
  'decide',
] as const;
export type StepKind = (typeof STEP_KINDS)[number];

export interface Step {
  readonly name: string;
  readonly kind: StepKind;
  /** Steps that must have succeeded before. */
  readonly needs: readonly string[];
  /** More tries after a failure that trying again may mend. */
  readonly retries: number;
  /** Wall time, ms; for `shadow` and `decide`, which wait in event time, of one look. */
  readonly timeout: number;
  /** Steps of one worker that run beside this one: `cpu` steps are alone. */
  readonly resources: 'light' | 'cpu';
  /** By the kind: `dataset` takes `last` (ms of event time). */
  readonly with: Readonly<Record<string, number | string | boolean>>;
  /** Of a `train` step that tries another trainer than the model declares; null = the model's. */
  readonly trainer: TrainerChoice | null;
}

/** A directed graph of steps, and what starts it. */
export interface Pipeline {
  readonly name: string;
  readonly model: string;
  readonly start: {
    /** Every so much event time, at multiples of it (UTC), ms; null = not. */
    readonly every: number | null;
    /** Wall clock, cron of five fields, UTC; null = not. */
    readonly cron: string | null;
    /** Names of alert rules whose firing starts a run. */
    readonly alerts: readonly string[];
    /** Least event time between two starts by alerts, ms. */
    readonly cooldown: number;
  };
  /** What the pipeline registers takes effect at the first request at or after its start + this, ms of event time. */
  readonly eventLatency: number;
  /** In an order that respects `needs`. */
  readonly steps: readonly Step[];
}
