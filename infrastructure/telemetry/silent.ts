import type { Telemetry } from './telemetry.ts';

const nothing = () => {};

/** The twin that says nothing, for tests and tools. */
export const silentTelemetry: Telemetry = {
  batch: nothing,
  received: nothing,
  accepted: nothing,
  rejected: nothing,
  contributions: nothing,
  lag: nothing,
  watermarkDelay: nothing,
  featureAge: nothing,
  featureLatency: nothing,
  predicted: nothing,
  score: nothing,
  refused: nothing,
  predictionLatency: nothing,
  gateWait: nothing,
  archived: nothing,
  conflict: nothing,
  restarted: nothing,
  modelSwapped: nothing,
  metrics: () => Promise.resolve(''),
};
