import type { ReliabilityBin } from '../metrics.ts';
import type { Random } from '../random.ts';
import { estimate, quantileOf } from './interval.ts';
import { averagePrecision, type Ranking } from './ranking.ts';
import type { Estimate } from './types.ts';

/**
 * Intervals by resampling where no formula is at hand. Rows are drawn as counts of cells (a stretch of scores, by label),
 * each Poisson with the count seen as its mean, which is the usual bootstrap with a total that is left free: Hanley and
 * MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies" (2006). So the cost is that of the
 * cells, not of the rows.
 */
/** What drawing needs: confidence of the interval, number of resamples, and the chance. */
export interface Resampling {
  readonly confidence: number;
  readonly resamples: number;
  readonly random: Random;
}

/** Cells of the average precision, of about equal numbers of positives: its value hangs on the top of the ranking. */
const CELLS = 100;

export function averagePrecisionEstimate(ranking: Ranking, resampling: Resampling): Estimate {
  const { confidence, resamples, random } = resampling;
  const value = averagePrecision(ranking.rows, ranking.positives);
  if (resamples === 0) return estimate(value, null, null);
  const cells = cellsOf(ranking);
  const coarse = averagePrecision(cells.rows, cells.positives);
  const rows = new Float64Array(cells.rows.length);
  const positives = new Float64Array(cells.rows.length);
  const draws = new Float64Array(resamples);
  for (let draw = 0; draw < resamples; draw++) {
    for (let cell = 0; cell < rows.length; cell++) {
      const p = poisson(cells.positives[cell] as number, random);
      positives[cell] = p;
      rows[cell] = p + poisson((cells.rows[cell] as number) - (cells.positives[cell] as number), random);
    }
    // Cells blur the value a little; the spread about the blurred value is put about the exact one.
    draws[draw] = value + averagePrecision(rows, positives) - coarse;
  }
  draws.sort();
  const [low, high] = ends(draws, confidence);
  return estimate(value, Math.max(0, Math.min(value, low)), Math.min(1, Math.max(value, high)));
}

function cellsOf({ rows, positives }: Ranking): Pick<Ranking, 'rows' | 'positives'> {
  let total = 0;
  for (const p of positives) total += p;
  const full = total / CELLS;
  const cellRows: number[] = [];
  const cellPositives: number[] = [];
  let [r, p, taken] = [0, 0, 0];
  for (let g = 0; g < rows.length; g++) {
    r += rows[g] as number;
    p += positives[g] as number;
    if (taken + p >= full * (cellRows.length + 1) || g === rows.length - 1) {
      cellRows.push(r);
      cellPositives.push(p);
      taken += p;
      [r, p] = [0, 0];
    }
  }
  return { rows: Float64Array.from(cellRows), positives: Float64Array.from(cellPositives) };
}

/**
 * The calibration error of a reliability table. Noise alone makes it larger than it is, that of a resample once more: so
 * the interval is the reversed one, 2 * value - quantile (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
 * "basic"), which takes that bias back, and it always holds the value itself. It goes down to 0 where a perfectly
 * calibrated model would show as much by chance (labels drawn from the scores: Broecker and Smith, 2007).
 */
export function calibrationEstimate(table: readonly ReliabilityBin[], resampling: Resampling): Estimate {
  const seen = table.map((bin) => bin.rows * bin.rate);
  const perfect = table.map((bin) => bin.rows * bin.meanScore);
  const value = errorOf(table, seen, (bin) => bin.rows);
  if (resampling.resamples === 0) return estimate(value, null, null);
  const [low, high] = ends(calibrationDraws(table, seen, value, resampling), resampling.confidence);
  const [, chance] = ends(calibrationDraws(table, perfect, value, resampling), resampling.confidence);
  return estimate(
    value,
    value <= chance ? 0 : Math.max(0, Math.min(value, 2 * value - high)),
    Math.min(1, Math.max(value, 2 * value - low)),
  );
}

/** Errors of tables whose positives are drawn about `ones`, rising. */
function calibrationDraws(
  table: readonly ReliabilityBin[],
  ones: readonly number[],
  otherwise: number,
  { resamples, random }: Resampling,
): Float64Array {
  const draws = new Float64Array(resamples);
  const drawn = new Float64Array(table.length);
  for (let draw = 0; draw < resamples; draw++) {
    let total = 0;
    const positives = table.map((bin, at) => {
      const mean = ones[at] as number;
      const p = poisson(mean, random);
      drawn[at] = p + poisson(Math.max(0, bin.rows - mean), random);
      total += drawn[at] as number;
      return p;
    });
    draws[draw] = total === 0 ? otherwise : errorOf(table, positives, (_, at) => drawn[at] as number);
  }
  return draws.sort();
}

function errorOf(
  table: readonly ReliabilityBin[],
  positives: readonly number[],
  rowsOf: (bin: ReliabilityBin, at: number) => number,
): number {
  let [total, sum] = [0, 0];
  table.forEach((bin, at) => {
    const rows = rowsOf(bin, at);
    total += rows;
    sum += Math.abs(rows * bin.meanScore - (positives[at] as number));
  });
  return sum / total;
}

function ends(sorted: Float64Array, confidence: number): [low: number, high: number] {
  return [quantileOf(sorted, (1 - confidence) / 2), quantileOf(sorted, (1 + confidence) / 2)];
}

/** A Poisson count: by products of uniforms (Knuth) for a small mean, rounded normal for a large one. */
function poisson(mean: number, random: Random): number {
  if (mean === 0) return 0;
  if (mean > 12) return Math.max(0, Math.round(mean + Math.sqrt(mean) * random.normal()));
  const limit = Math.exp(-mean);
  let product = random.next();
  let count = 0;
  while (product > limit) {
    product *= random.next();
    count++;
  }
  return count;
}
