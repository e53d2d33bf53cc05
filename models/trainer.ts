/**
 * The one contract of all trainers. A trainer takes rows and flat parameters and gives back a body (data that scores),
 * a calibration and what it saw on the way. The same rows, parameters and seed give the same bits; nothing it is
 * given is changed; it reads no clock and writes nothing.
 */

import type { TrainerName } from '../schemas/trainer.ts';
import type { ModelBody } from './body.ts';
import type { Calibration } from './calibration.ts';
import { CannotLearn } from './cannot-learn.ts';
import type { Dataset } from './dataset.ts';
import type { Metrics } from './metrics.ts';

export type Parameters = Readonly<Record<string, number | string | readonly number[]>>;

export interface EpochReport {
  /** From 1: a pass over the rows; of trees a round (one tree more), of which every tenth is told. */
  readonly epoch: number;
  /** Mean loss of the training rows in this epoch, as the weights moved. */
  readonly trainingLoss: number;
  /** Not calibrated. */
  readonly validation: Metrics;
  /** Better than all that was told before. */
  readonly best: boolean;
}

/** What trains, and one sentence for the person who started it: what was taken, and why nothing better. */
export interface Engine {
  readonly name: string;
  readonly reason: string;
}

export interface TrainControl {
  readonly onEngine?: (engine: Engine) => void;
  readonly onEpoch?: (report: EpochReport) => void;
  readonly signal?: AbortSignal;
  /** Awaited many times a second: where a process does other work too, this is how that gets its turn. */
  readonly pause?: () => Promise<void>;
}

/** Lets others have their turn, and stops here if that was asked for. */
export async function breathe(control: TrainControl): Promise<void> {
  await control.pause?.();
  control.signal?.throwIfAborted();
}

export interface Trained {
  readonly body: ModelBody;
  readonly calibration: Calibration;
  readonly epochs: readonly EpochReport[];
  /** Epochs that were run, told or not, and the one that was kept. */
  readonly rounds: number;
  readonly bestEpoch: number;
  readonly split: {
    readonly trainingRows: number;
    readonly validationRows: number;
    /** Epoch milliseconds. */
    readonly cutTime: number;
  };
  /** Of the validation slice, calibrated. It chose the epoch (and fitted the calibration): a little too good. */
  readonly validation: Metrics;
  readonly backend: string;
  /** Share of each feature in how far the scores move (see importance.ts). */
  readonly importance: readonly number[];
  /** Largest difference between the published scorer and the engine on validation rows; null = the same code. */
  readonly engineDifference: number | null;
}

/** A training whose parameters were checked, ready for rows. */
export interface Training {
  readonly trainer: TrainerName;
  /** Most epochs (of trees: rounds) it will run. */
  readonly epochs: number;
  /** The latest part of the rows that is put aside. */
  readonly validationShare: number;
  run(dataset: Dataset, control?: TrainControl): Promise<Trained>;
}

export interface Trainer {
  readonly name: TrainerName;
  /** Names of the parameters it takes, for messages. */
  readonly parameters: readonly string[];
  /** @throws CannotLearn naming the parameter that is unknown or out of range. */
  prepare(parameters: Parameters, features: readonly string[]): Training;
}

export interface TimeSplit {
  /** Row numbers before the cut, and at or after it. */
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
  /** Epoch milliseconds. */
  readonly cutTime: number;
}

/**
 * Cuts at a time, never inside one: all rows of a moment are on one side, and all of validation is later than all of
 * training, as the future will be.
 *
 * @throws CannotLearn where no cut leaves rows on both sides.
 */
export function splitByTime(times: Float64Array, validationShare: number): TimeSplit {
  const sorted = Float64Array.from(times).sort();
  const wanted = sorted[Math.floor(sorted.length * (1 - validationShare))] ?? Number.NaN;
  const cutTime =
    wanted > (sorted[0] as number) ? wanted : (sorted.find((time) => time > wanted) ?? Number.NaN);
  if (Number.isNaN(cutTime)) {
    throw new CannotLearn(
      `${times.length} rows of one moment cannot be split by time: training needs a longer range.`,
    );
  }
  const numbers = Uint32Array.from(times, (_, row) => row);
  return {
    training: numbers.filter((row) => (times[row] as number) < cutTime),
    validation: numbers.filter((row) => (times[row] as number) >= cutTime),
    cutTime,
  };
}

/** What to say before anything is learnt: one row of each class more than there are, so that one class alone has finite odds. */
export function logOdds(labels: Uint8Array): number {
  let positives = 0;
  for (const label of labels) positives += label;
  return Math.log((positives + 1) / (labels.length - positives + 1));
}
