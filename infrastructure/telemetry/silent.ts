import type { Telemetry } from './telemetry.ts';

const nothing = () => {};

/** The twin that says nothing, for tests and tools. */
export const silentTelemetry: Telemetry = {
  step: nothing,
  refused: nothing,
  watermark: nothing,
  frontier: nothing,
  lag: nothing,
  featureAge: nothing,
  score: nothing,
  waiting: nothing,
  waits: () => ({}),
  failure: nothing,
  note: nothing,
  metrics: () => Promise.resolve(''),
};
