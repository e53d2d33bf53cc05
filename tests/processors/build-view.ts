import { DAY, HOUR, hopOf, MINUTE } from '../../schemas/time.ts';
import type {
  Aggregation,
  Column,
  ColumnKind,
  Input,
  SketchColumn,
  StoredFeature,
  TileSet,
  View,
} from '../../schemas/view.ts';

export interface InputSpec {
  readonly name: string;
  readonly kind?: Input['kind'];
  readonly scale?: number;
  readonly source?: string;
}

export interface WindowSpec {
  readonly aggregation: Aggregation;
  readonly input: number;
  readonly length: number;
  readonly halfLife?: number;
  readonly quantile?: number;
  /** variance, stddev: squares in two limbs. */
  readonly limbs?: boolean;
}

export interface PeriodicSpec {
  readonly aggregation: Aggregation;
  readonly input: number;
  readonly every?: number;
  readonly times: number;
  readonly from: number;
  readonly to: number;
}

export interface ViewSpec {
  readonly resolution?: number;
  readonly sketchResolution?: number;
  readonly readDelay?: number;
  readonly slack?: number;
  readonly maxDelay?: number | null;
  readonly precision?: number;
  readonly alpha?: number;
  readonly inputs: readonly InputSpec[];
  readonly windows?: readonly WindowSpec[];
  readonly periodic?: readonly PeriodicSpec[];
}

const SKETCHES = new Set<Aggregation>(['distinct', 'quantile']);

/** Columns that an aggregation reads, in its own order. */
function kindsOf(aggregation: Aggregation, limbs: boolean): ColumnKind[] {
  switch (aggregation) {
    case 'count':
      return ['count'];
    case 'sum':
    case 'decayed_sum':
      return ['sum'];
    case 'mean':
    case 'share':
    case 'decayed_mean':
      return ['sum', 'count'];
    case 'variance':
    case 'stddev':
      return limbs ? ['sum', 'count', 'square_high', 'square_low'] : ['sum', 'count', 'square'];
    case 'min':
      return ['min'];
    case 'max':
      return ['max'];
    case 'last':
    case 'seconds_since_last':
      return ['last_time', 'last_value'];
    default:
      throw new Error(`${aggregation} has no columns`);
  }
}

interface Draft {
  readonly kind: TileSet['kind'];
  readonly suffix: TileSet['suffix'];
  readonly resolution: number;
  readonly columns: Column[];
  readonly sketches: SketchColumn[];
  readonly lengths: Set<number>;
  reach: number;
}

/** A view for tests, built as the loader builds one, from numbers instead of YAML. Event fields are the inputs' names. */
export function buildView(spec: ViewSpec): View {
  const resolution = spec.resolution ?? MINUTE;
  const sketchResolution = spec.sketchResolution ?? Math.max(resolution, 5 * MINUTE);
  const maxDelay = spec.maxDelay ?? null;
  const drafts: Draft[] = [];
  const draft = (kind: TileSet['kind'], suffix: TileSet['suffix'], at: number): Draft => {
    const found = drafts.find((one) => one.kind === kind);
    if (found) return found;
    const made: Draft = {
      kind,
      suffix,
      resolution: at,
      columns: [],
      sketches: [],
      lengths: new Set(),
      reach: 0,
    };
    drafts.push(made);
    return made;
  };
  const columnsOf = (set: Draft, input: number, kinds: readonly ColumnKind[]): number[] => {
    // Sums of squares are one number or two limbs for a whole input.
    return kinds.map((kind) => {
      const known = set.columns.findIndex((column) => column.input === input && column.kind === kind);
      return known >= 0 ? known : set.columns.push({ kind, input }) - 1;
    });
  };
  const scaleOf = (input: number) => spec.inputs[input]?.scale ?? 1;
  const pending: Array<() => StoredFeature> = [];
  for (const [index, one] of (spec.windows ?? []).entries()) {
    const { aggregation, input, length } = one;
    const sketch = SKETCHES.has(aggregation);
    const set = sketch ? draft('sketches', 's', sketchResolution) : draft('windows', 'w', resolution);
    set.lengths.add(length);
    let columns: number[];
    if (sketch) {
      const kind = aggregation === 'distinct' ? 'hll' : 'ddsketch';
      const known = set.sketches.findIndex((column) => column.kind === kind && column.input === input);
      columns = [
        known >= 0
          ? known
          : set.sketches.push({ kind, input, precision: spec.precision ?? 11, alpha: spec.alpha ?? 0.01 }) -
            1,
      ];
    } else columns = columnsOf(set, input, kindsOf(aggregation, one.limbs ?? false));
    pending.push(() => ({
      kind: 'window',
      name: `w${index}_${aggregation}_${length}`,
      aggregation,
      set: drafts.indexOf(set),
      window: [...set.lengths].sort((a, b) => a - b).indexOf(length),
      columns,
      scale: aggregation === 'distinct' ? 1 : scaleOf(input),
      halfLife: one.halfLife ?? HOUR,
      quantile: one.quantile ?? 0.5,
    }));
  }
  for (const [index, one] of (spec.periodic ?? []).entries()) {
    const set = draft('periodic', 'p', resolution);
    const every = one.every ?? DAY;
    set.reach = Math.max(set.reach, one.times * every - one.from + 2 * HOUR);
    const columns = columnsOf(set, one.input, kindsOf(one.aggregation, false));
    pending.push(() => ({
      kind: 'periodic',
      name: `p${index}_${one.aggregation}`,
      aggregation: one.aggregation,
      set: drafts.indexOf(set),
      columns,
      scale: scaleOf(one.input),
      every,
      times: one.times,
      from: one.from,
      to: one.to,
    }));
  }
  const features = pending.map((make) => make());
  const sets = drafts.map((one): TileSet => {
    const windows = [...one.lengths]
      .sort((a, b) => a - b)
      .map((length) => ({ length, hop: hopOf(length, one.resolution) }));
    const farthest = Math.max(0, ...windows.map(({ length, hop }) => length + hop));
    return {
      kind: one.kind,
      suffix: one.suffix,
      resolution: one.resolution,
      columns: one.columns,
      sketches: one.sketches,
      windows,
      reach: one.kind === 'periodic' ? one.reach : farthest + (maxDelay ?? 0) + 2 * one.resolution,
      worstTiles: 0,
    };
  });
  return {
    name: 'test',
    version: '00000000',
    id: 'test@00000000',
    sources: [...new Set(spec.inputs.map(({ source }) => source ?? 'events'))],
    entity: ['entity'],
    resolution,
    readDelay: spec.readDelay ?? resolution,
    outOfOrderness: 0,
    slack: spec.slack ?? 15 * MINUTE,
    hold: { time: DAY, bytes: 1_000_000 },
    at: maxDelay === null ? null : { field: 'at', maxDelay },
    partitions: 1,
    local: false,
    inputs: spec.inputs.map((input) => ({
      name: input.name,
      kind: input.kind ?? 'integer',
      scale: input.scale ?? 1,
      source: input.source ?? 'events',
      evaluate: (event) => {
        const value = event[input.name];
        return typeof value === 'number' ? value : null;
      },
    })),
    sets,
    features,
  };
}
