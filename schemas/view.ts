import type { EventExpression } from './event.ts';

/** Every aggregation that a feature may name. */
export const AGGREGATIONS = [
  'count',
  'sum',
  'mean',
  'min',
  'max',
  'variance',
  'stddev',
  'share',
  'last',
  'seconds_since_last',
  'decayed_sum',
  'decayed_mean',
  'distinct',
  'quantile',
] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

/**
 * What a contribution carries for one expression of a view: an integer below 2^53, or null where
 * the event has none (condition false, operand null).
 * Values are `round(expression * scale)`; conditions are 0 or 1; a `hash` is a 53-bit hash of a string.
 */
export interface Input {
  readonly name: string;
  readonly kind: 'integer' | 'hash';
  /** Integer units per unit of the expression; 1 for counts, conditions and hashes. */
  readonly scale: number;
  /** Source this input reads; an event of another source contributes null. */
  readonly source: string;
  /** The integer itself: scale and rounding already applied. Pure. */
  readonly evaluate: EventExpression<number>;
}

/** How a column of a tile merges. `last_time` is always followed by its `last_value`. */
export const COLUMN_KINDS = [
  'count',
  'sum',
  'square_high',
  'square_low',
  'square',
  'min',
  'max',
  'last_time',
  'last_value',
] as const;
export type ColumnKind = (typeof COLUMN_KINDS)[number];

/**
 * A column of a numeric tile, fed by input number `input`. Squares that can pass 2^53 take two limbs,
 * `square_high` followed by `square_low` (value = high * 2^26 + low, low normalised below 2^26).
 */
export interface Column {
  readonly kind: ColumnKind;
  readonly input: number;
}

/** A sketch kept in a tile of the sketch set. */
export interface SketchColumn {
  readonly kind: 'hll' | 'ddsketch';
  readonly input: number;
  /** HyperLogLog: index bits. */
  readonly precision: number;
  /** DDSketch: relative accuracy. */
  readonly alpha: number;
}

/**
 * A set of tiles with a log of its own in the online store, one log an entity.
 * `windows` climbs the ladder; `sketches` too, at a resolution of its own; `periodic` keeps its finest tiles.
 */
export interface TileSet {
  readonly kind: 'windows' | 'sketches' | 'periodic';
  /** One letter, part of the key: w, s or p. */
  readonly suffix: 'w' | 's' | 'p';
  /** ms; the view's, or the sketches' own. */
  readonly resolution: number;
  readonly columns: readonly Column[];
  readonly sketches: readonly SketchColumn[];
  /** Distinct windows read from this set, ms, ascending, with their hops. Empty for `periodic`. */
  readonly windows: ReadonlyArray<{ readonly length: number; readonly hop: number }>;
  /** How far back of the head any read of this set can reach, ms (whole windows, hops and zone shifts included). */
  readonly reach: number;
  /** Worst number of tiles an entity can have. */
  readonly worstTiles: number;
}

export interface WindowFeature {
  readonly kind: 'window';
  readonly name: string;
  readonly aggregation: Aggregation;
  readonly set: number;
  /** Index into the set's `windows`. */
  readonly window: number;
  /**
   * Columns the aggregation reads, in its own order: count [count]; sum [sum]; mean, share [sum, count];
   * variance, stddev [sum, count, square] or [sum, count, square_high, square_low]; min [min]; max [max];
   * last, seconds_since_last [last_time, last_value]; decayed_sum [sum]; decayed_mean [sum, count].
   * Sketches: [index into `sketches`].
   */
  readonly columns: readonly number[];
  readonly scale: number;
  /** decayed_*: ms. */
  readonly halfLife: number;
  /** quantile: 0..1. */
  readonly quantile: number;
}

export interface PeriodicFeature {
  readonly kind: 'periodic';
  readonly name: string;
  readonly aggregation: Aggregation;
  readonly set: number;
  readonly columns: readonly number[];
  readonly scale: number;
  /** A multiple of a day, ms. */
  readonly every: number;
  readonly times: number;
  /** Stretch relative to the request, ms; multiples of the resolution, from < to. */
  readonly from: number;
  readonly to: number;
}

export type StoredFeature = WindowFeature | PeriodicFeature;

/** A view as the loader hands it down: checked, complete, with its expressions compiled. */
export interface View {
  readonly name: string;
  /** First 8 hex digits of the hash of the definition: a changed view is another view, with its own keys. */
  readonly version: string;
  /** `name@version`. */
  readonly id: string;
  readonly sources: readonly string[];
  /** Names of the event's fields that make the entity key, in order. */
  readonly entity: readonly string[];
  /** g, ms. */
  readonly resolution: number;
  readonly readDelay: number;
  /** The largest of its sources, ms: its frontier stays that far behind each of them. */
  readonly outOfOrderness: number;
  /** S, ms. */
  readonly slack: number;
  /** How far fine tiles are kept for readers that are further behind than the slack: event time, ms, and bytes a view partition. */
  readonly hold: { readonly time: number; readonly bytes: number };
  /** The second time of the event, or null where the view is keyed by event time. */
  readonly at: { readonly field: string; readonly maxDelay: number } | null;
  readonly partitions: number;
  /** Its entity is the key of its one source, partition by partition: who ingests a partition has all of it in memory. */
  readonly local: boolean;
  readonly inputs: readonly Input[];
  readonly sets: readonly TileSet[];
  readonly features: readonly StoredFeature[];
}
