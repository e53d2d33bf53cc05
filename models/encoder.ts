/**
 * From feature vectors to network inputs. A feature may be encoded in several ways at once, each a column or two:
 *
 * - `rank`: its empirical quantile in the training rows, centred and scaled to unit variance: (2q - 1) * sqrt(3).
 *   Robust against long tails. Between knots linear; an atom (a value that many rows share) takes the middle of its
 *   quantiles; outside the range seen in training -sqrt(3) or +sqrt(3).
 * - `zscore`: (x - mean) / deviation of the training rows, clipped.
 * - `cyclic`: sine and cosine of 2 pi x / period, so that 23:59 lies beside 00:00.
 * - `missing`: 1 where the value is null, 0 elsewhere.
 *
 * A null is NaN in a vector (an infinity, or a value beyond 1e150, which no feature should hold, counts as null too). Its rule is part of the
 * encoder: `centre` writes 0 into every column (the median, the mean, no hour at all); a value stands in for the null.
 */
export type NullRule = 'centre' | { readonly value: number };

export interface EncodingChoice {
  readonly rank: boolean;
  readonly zscore: boolean;
  /** Length of the cycle in the feature's own unit; null where the feature is no cycle. */
  readonly period: number | null;
  readonly nulls: NullRule;
  /** `auto`: where more than `missingShare` of the training rows are null. */
  readonly missing: 'auto' | 'always' | 'never';
}

export interface EncoderSpec {
  /** For every feature that `features` does not name. */
  readonly standard: EncodingChoice;
  readonly features: Readonly<Record<string, Partial<EncodingChoice>>>;
  /** Steps between the knots of a rank; 64 keeps the artefact small and loses nothing measurable. */
  readonly rankSteps: number;
  /** Bound of a z-score, in deviations. */
  readonly clip: number;
  readonly missingShare: number;
}

export const defaultEncoderSpec: EncoderSpec = {
  standard: { rank: true, zscore: true, period: null, nulls: 'centre', missing: 'auto' },
  features: {},
  rankSteps: 64,
  clip: 4,
  missingShare: 0.0005,
};

/** One fitted feature, plain data. Knot values rise strictly; quantiles are those of the knots, in [0, 1]. */
export interface FittedFeature {
  readonly name: string;
  readonly rank: { readonly values: readonly number[]; readonly quantiles: readonly number[] } | null;
  readonly zscore: { readonly mean: number; readonly deviation: number; readonly clip: number } | null;
  readonly period: number | null;
  readonly missing: boolean;
  readonly nulls: NullRule;
}

export interface EncoderData {
  readonly features: readonly FittedFeature[];
}

export interface Encoder {
  /** Values in a vector. */
  readonly features: number;
  /** Columns it becomes. */
  readonly width: number;
  /** Writes `width` columns to `out` at `outOffset`, reading `features` values of `vector` at `vectorOffset`. */
  encode(
    vector: Float64Array,
    out: Float32Array | Float64Array,
    outOffset?: number,
    vectorOffset?: number,
  ): void;
}

const SPREAD = Math.sqrt(3);

/** Squares of anything smaller still sum to a finite number. */
const LARGEST = 1e150;
const isNullValue = (value: number): boolean => !(Math.abs(value) <= LARGEST);

function choiceOf(spec: EncoderSpec, name: string): EncodingChoice {
  const own = spec.features[name];
  if (own === undefined) return spec.standard;
  const choice = { ...spec.standard, ...own };
  // A cycle has no order, so rank and z-score must be asked for.
  if (choice.period !== null) return { ...choice, rank: own.rank ?? false, zscore: own.zscore ?? false };
  return choice;
}

/** JSON has no -0; a fitted number must survive it bit for bit. */
const plain = (value: number): number => value + 0;

function fitRank(sorted: Float64Array, steps: number): { values: number[]; quantiles: number[] } {
  const values: number[] = [];
  const first: number[] = [];
  const last: number[] = [];
  for (let knot = 0; knot <= steps; knot++) {
    const value = plain(sorted[Math.round((knot / steps) * (sorted.length - 1))] ?? 0);
    if (values.length > 0 && values[values.length - 1] === value) last[last.length - 1] = knot;
    else {
      values.push(value);
      first.push(knot);
      last.push(knot);
    }
  }
  return { values, quantiles: first.map((from, at) => (from + (last[at] ?? from)) / 2 / steps) };
}

/** Two passes, so that a large mean does not swallow a small deviation; a constant column has the deviation 1. */
function momentsOf(sorted: Float64Array): { mean: number; deviation: number } {
  const count = sorted.length;
  const first = sorted[0];
  if (first === undefined || first === sorted[count - 1]) return { mean: plain(first ?? 0), deviation: 1 };
  let sum = 0;
  for (const value of sorted) sum += value;
  const mean = plain(sum / count);
  let squares = 0;
  for (const value of sorted) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / count);
  return { mean, deviation: deviation > 0 ? deviation : 1 };
}

/**
 * Fits every feature on a matrix of training rows.
 *
 * @param names feature names, in the order of the columns.
 * @param rows row-major, rows.length / names.length of them; NaN is null.
 * @param chosen the rows to fit on (all of them by default): the validation slice must stay out.
 */
export function fitEncoder(
  names: readonly string[],
  rows: Float64Array,
  spec: EncoderSpec = defaultEncoderSpec,
  chosen: Uint32Array | null = null,
): EncoderData {
  const width = names.length;
  if (width === 0 || rows.length % width !== 0) {
    throw new RangeError(`A matrix of ${rows.length} values has no whole rows of ${width} features.`);
  }
  const unknown = Object.keys(spec.features).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(`The encoder is told about "${unknown}", which is no feature of this model.`);
  }
  const count = chosen === null ? rows.length / width : chosen.length;
  if (count === 0) throw new RangeError('An encoder cannot be fitted on no rows.');
  const column = new Float64Array(count);

  const features = names.map((name, at): FittedFeature => {
    const choice = choiceOf(spec, name);
    let present = 0;
    for (let row = 0; row < count; row++) {
      const value = rows[(chosen === null ? row : (chosen[row] as number)) * width + at] as number;
      if (!isNullValue(value)) column[present++] = value;
    }
    const sorted = column.subarray(0, present).sort();
    const nulls = count - present;
    const missing =
      choice.missing === 'always' || (choice.missing === 'auto' && nulls > count * spec.missingShare);
    const { mean, deviation } = momentsOf(sorted);
    return {
      name,
      rank: choice.rank && present > 0 ? fitRank(sorted, spec.rankSteps) : null,
      zscore: choice.zscore ? { mean, deviation, clip: spec.clip } : null,
      period: choice.period,
      missing,
      nulls: choice.nulls,
    };
  });
  return { features };
}

/** The names of the columns, in order: `<feature>:rank`, `:zscore`, `:sin`, `:cos`, `:missing`. */
export function encodedNames(data: EncoderData): string[] {
  return data.features.flatMap((feature) => [
    ...(feature.rank === null ? [] : [`${feature.name}:rank`]),
    ...(feature.zscore === null ? [] : [`${feature.name}:zscore`]),
    ...(feature.period === null ? [] : [`${feature.name}:sin`, `${feature.name}:cos`]),
    ...(feature.missing ? [`${feature.name}:missing`] : []),
  ]);
}

/** Compiles fitted data into typed arrays; `encode` allocates nothing and depends on the one row alone. */
export function createEncoder(data: EncoderData): Encoder {
  const features = data.features.length;
  const width = encodedNames(data).length;
  const fill = Float64Array.from(data.features, (f) => (f.nulls === 'centre' ? Number.NaN : f.nulls.value));
  const start = new Int32Array(features + 1);
  data.features.forEach((feature, at) => {
    start[at + 1] = (start[at] as number) + (feature.rank?.values.length ?? 0);
  });
  const values = Float64Array.from(data.features.flatMap((f) => f.rank?.values ?? []));
  const quantiles = Float64Array.from(data.features.flatMap((f) => f.rank?.quantiles ?? []));
  const scored = Uint8Array.from(data.features, (f) => (f.zscore === null ? 0 : 1));
  const mean = Float64Array.from(data.features, (f) => f.zscore?.mean ?? 0);
  const deviation = Float64Array.from(data.features, (f) => f.zscore?.deviation ?? 1);
  const clip = Float64Array.from(data.features, (f) => f.zscore?.clip ?? 0);
  const angle = Float64Array.from(data.features, (f) => (f.period === null ? 0 : (2 * Math.PI) / f.period));
  const missing = Uint8Array.from(data.features, (f) => (f.missing ? 1 : 0));

  /** Quantile of x among the knots [from, to). */
  function quantileOf(x: number, from: number, to: number): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((values[middle] as number) < x) low = middle + 1;
      else high = middle;
    }
    if (low === to) return 1;
    if (values[low] === x) return quantiles[low] as number;
    if (low === from) return 0;
    const below = values[low - 1] as number;
    const share = (x - below) / ((values[low] as number) - below);
    const quantile = quantiles[low - 1] as number;
    return quantile + share * ((quantiles[low] as number) - quantile);
  }

  return {
    features,
    width,
    encode(vector, out, outOffset = 0, vectorOffset = 0) {
      let column = outOffset;
      for (let at = 0; at < features; at++) {
        let x = vector[vectorOffset + at] as number;
        const isNull = isNullValue(x);
        if (isNull) x = fill[at] as number;
        const empty = Number.isNaN(x);
        const from = start[at] as number;
        const to = start[at + 1] as number;
        if (to > from) out[column++] = empty ? 0 : (2 * quantileOf(x, from, to) - 1) * SPREAD;
        if (scored[at] === 1) {
          const bound = clip[at] as number;
          const z = (x - (mean[at] as number)) / (deviation[at] as number);
          out[column++] = empty ? 0 : Math.min(bound, Math.max(-bound, z));
        }
        const turn = angle[at] as number;
        if (turn !== 0) {
          out[column++] = empty ? 0 : Math.sin(x * turn);
          out[column++] = empty ? 0 : Math.cos(x * turn);
        }
        if (missing[at] === 1) out[column++] = isNull ? 1 : 0;
      }
    },
  };
}
