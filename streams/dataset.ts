/** Rows to learn from, in the order of (request time, id). */
export interface DataSet {
  readonly ids: readonly string[];
  /** Event times of the requests, epoch ms. */
  readonly times: Float64Array;
  /** n x features of the model, row-major; NaN is null. */
  readonly rows: Float64Array;
  /** 0 or 1. */
  readonly labels: Uint8Array;
  /** Cell of each request's local clock, for the calendar baseline; -1 = none. */
  readonly cells: Int16Array;
  /** How many vectors were logged live, and how many were backfilled. */
  readonly logged: number;
  readonly backfilled: number;
  readonly query: string;
  /** Request times, epoch ms. */
  readonly from: number;
  readonly to: number;
  /** SHA-256 of query, range and rows. */
  readonly hash: string;
}
