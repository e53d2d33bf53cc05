import type { EventRecord } from '../../schemas/event.ts';

/** Events of a file in their order, in pieces. The three arrays run in parallel. */
export interface HistoryBatch {
  readonly events: readonly EventRecord[];
  /** Where each event stands in the whole file's order: ascending integers, the same at every reading. */
  readonly places: Float64Array;
  /** The row of the file each event was made from: counted from 0, dropped rows included. */
  readonly rows: Float64Array;
}

export interface HistoryRange {
  /** Event time, epoch ms: from <= time < to. Null = no bound. */
  readonly from: number | null;
  readonly to: number | null;
  /** Only events whose place is greater: how a replay goes on after a crash. */
  readonly after?: number;
  /** Events a batch; default 5,000. */
  readonly batchSize?: number;
}

/** A file of history, opened and put in order once, read as often as wanted. */
export interface HistoryFile {
  readonly path: string;
  /** Of the file's bytes, hex: with the row it is an event's lineage. */
  readonly sha256: string;
  /** Rows in the file. */
  readonly rows: number;
  /** Exact repeats of an earlier row, left out. */
  readonly duplicates: number;
  /** Events in the whole file. */
  readonly events: number;
  /** Events of a range, for progress. */
  count(range: HistoryRange): number;
  /** Ordered by (event time, row, order within the row). */
  read(range: HistoryRange): AsyncIterable<HistoryBatch>;
}
