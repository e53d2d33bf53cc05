import type { Logger } from '../../../infrastructure/telemetry/logger.ts';
import type { Telemetry } from '../../../infrastructure/telemetry/telemetry.ts';

const nothing = () => {};

/** A logger that says nothing. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Telemetry that says nothing. */
export const silentTelemetry: Telemetry = {
  step: nothing,
  refused: nothing,
  watermark: nothing,
  frontier: nothing,
  lag: nothing,
  featureAge: nothing,
  score: nothing,
  waiting: nothing,
  guarded: nothing,
  producerTimes: nothing,
  remembered: nothing,
  waits: () => ({}),
  failure: nothing,
  failing: nothing,
  failures: () => ({}),
  note: nothing,
  metrics: () => Promise.resolve(''),
};
