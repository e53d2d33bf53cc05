import type { Binning, Comparison, ReferenceSummary, WindowSummary } from '../../models/drift/types.ts';
import type { SqlParameters, Warehouse } from './port.ts';

/** Rows to compare: a SELECT that gives `at`, `numbers` and `words`. */
export interface DriftSource {
  /**
   * SELECT of `at` DateTime64(3), `numbers` Array(Float64) (NaN is missing; as long as the list below) and `words`
   * Array(String) ('' is missing). It may use {from:Int64} and {to:Int64}, epoch ms, to read only the range asked for;
   * rows outside it are left out in any case.
   */
  readonly select: string;
  readonly parameters?: SqlParameters;
  /** Names of the elements of `numbers`. */
  readonly numbers: readonly string[];
  /** Names of the elements of `words`. */
  readonly words: readonly string[];
}

/** Epoch ms, from <= time < to. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How each column is counted: cells of the numbers, categories of the words. */
export interface Binnings {
  readonly numbers: Readonly<Record<string, Binning>>;
  readonly words: Readonly<Record<string, readonly string[]>>;
}

/** Scored predictions of one layout: every feature under its name, then `score`. */
export declare function predictionSource(options: {
  readonly prefix: string;
  readonly model: string;
  readonly layoutHash: string;
  readonly features: readonly string[];
  /** null: all versions. */
  readonly modelVersion: number | null;
}): DriftSource;

/** Cells and categories, learnt from a reference range. */
export declare function learnBinnings(
  warehouse: Warehouse,
  source: DriftSource,
  range: Range,
): Promise<Binnings>;

/** One summary for each `stepMs` of the range (the last may be shorter), empty ones included; one scan. */
export declare function summariseWindows(
  warehouse: Warehouse,
  source: DriftSource,
  binnings: Binnings,
  range: Range & { readonly stepMs: number },
): Promise<WindowSummary[]>;

/** `learnBinnings`, then `summariseWindows` of the same range. */
export declare function summariseReference(
  warehouse: Warehouse,
  source: DriftSource,
  range: Range & { readonly stepMs: number },
): Promise<ReferenceSummary & { readonly binnings: Binnings }>;

/** All statistics inside ClickHouse, from the rows; KS and Wasserstein exact. */
export declare function driftInSql(
  warehouse: Warehouse,
  source: DriftSource,
  binnings: Binnings,
  reference: Range,
  current: Range,
): Promise<Record<string, Comparison>>;
