/** One dimension of a search space. */
export type SearchDimension =
  | { readonly kind: 'real'; readonly low: number; readonly high: number; readonly log: boolean }
  | { readonly kind: 'whole'; readonly low: number; readonly high: number; readonly log: boolean }
  | { readonly kind: 'choice'; readonly values: ReadonlyArray<number | string | readonly number[]> };

/** What tuning varies of the trainer's parameters, and how long it may. */
export interface SearchSpace {
  /** By the trainer's parameter, as code names it. */
  readonly parameters: Readonly<Record<string, SearchDimension>>;
  readonly trials: number;
  readonly seed: number;
  /** Wall time, ms. */
  readonly budget: number;
  /** Successive halving: a rung keeps the best 1 / eta and gives them eta times the epochs or rounds. */
  readonly eta: number;
  readonly minShare: number;
}
