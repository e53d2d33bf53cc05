/** The family of streaming change detectors: one number at a time, constant memory or nearly so. */

export type Signal = 'none' | 'warning' | 'drift';

export interface Detector<State = unknown> {
  /**
   * Takes the next value. After `drift` the detector has begun again (ADWIN: has dropped the older part).
   *
   * @throws RangeError where the value is not a finite number, or outside what the detector takes.
   */
  update(value: number): Signal;
  /** What it watches: the estimate it holds of the present mean, and the values it rests on. */
  get(): { readonly mean: number; readonly count: number };
  /** Plain data; `restore` of it goes on as this one would. */
  serialise(): State;
}

export interface DetectorKind<Options, State> {
  readonly name: string;
  readonly paper: string;
  create(options?: Partial<Options>): Detector<State>;
  /** @throws RangeError where the state is not one of this detector. */
  restore(state: State): Detector<State>;
}
