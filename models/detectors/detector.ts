/** The family of streaming change detectors: one number at a time, constant memory or nearly so. */

export type Signal = 'none' | 'warning' | 'drift';

export interface Detector<State = unknown> {
  /**
   * Takes the next value. With `drift` the detector begins again (ADWIN: has dropped the older part).
   *
   * @throws RangeError where the value is no finite number (ddm: neither 0 nor 1); the detector is then as it was.
   */
  update(value: number): Signal;
  /** The mean of what it holds of the present, and of how many values. */
  get(): { readonly mean: number; readonly count: number };
  /** Plain data, fit for JSON; `restore` of it goes on exactly as this one would. */
  serialise(): State;
}

export interface DetectorKind<Options, State> {
  readonly name: string;
  readonly paper: string;
  /** @throws RangeError for options that are no numbers above 0. */
  create(options?: Partial<Options>): Detector<State>;
  /** @throws RangeError where the state is damaged. */
  restore(state: State): Detector<State>;
}

/** Larger ones could not be squared and added up. */
const MAX_VALUE = 1e100;

export function checkNumber(detector: string, value: number): void {
  if (!(Math.abs(value) <= MAX_VALUE))
    throw new RangeError(`The detector ${detector} takes numbers up to 1e100, not ${value}.`);
}

export function options<Options extends object>(defaults: Options, given: Partial<Options>): Options {
  const all = { ...defaults, ...given };
  for (const [name, value] of Object.entries(all))
    if (typeof value === 'number' && !(value > 0))
      throw new RangeError(`A detector's ${name} must be above 0, not ${value}.`);
  return all;
}

export function stateNumbers(detector: string, values: readonly number[]): void {
  const fault = values.find((value) => !Number.isFinite(value));
  if (fault !== undefined)
    throw new RangeError(`This state of a ${detector} detector is damaged: it holds ${fault}. Begin again.`);
}
