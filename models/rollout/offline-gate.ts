/**
 * The offline gate in front of the shadow: candidate and champion score the same rows, which neither learnt from, and the mean
 * difference of their log loss gets an interval. Rows of one day err together, so what is drawn with replacement is whole
 * days (a paired cluster bootstrap: Davison and Hinkley, Bootstrap Methods, 1997, section 3.8).
 */
import type { Rollout } from '../../schemas/rollout.ts';
import { calibrationError, dayOf, LOG_LOSS_CLIP } from '../metrics.ts';
import { studentQuantile } from '../quality/distributions.ts';
import { estimate, normalWidth, quantileOf } from '../quality/interval.ts';
import { rowsBySlice } from '../quality/quality.ts';
import type { Estimate } from '../quality/types.ts';
import { createRandom } from '../random.ts';
import { figure, interval, many } from './wording.ts';

/** Rows that neither model learnt from, scored by both. */
export interface OfflineGateRows {
  readonly labels: Uint8Array;
  readonly candidate: Float64Array;
  /** Null: there is no champion yet, and the candidate is held against its own calibration alone. */
  readonly champion: Float64Array | null;
  /** Request times, epoch ms. Without them rows are taken to be independent of each other. */
  readonly times?: Float64Array;
  /** By name of the slicing (`origin`): the slice of each row, null for none. */
  readonly slices?: Readonly<Record<string, ReadonlyArray<string | null>>>;
}

export type OfflineGateRules = Omit<Rollout['gate'], 'testLast'> & {
  /** Slices with fewer rows are not judged; default 500. */
  readonly sliceMinRows?: number;
  /** Of the intervals; default .95. */
  readonly confidence?: number;
  /** Of the bootstrap; default 0. */
  readonly seed?: number;
};

const GATE_OBJECTIONS = ['too_few_rows', 'worse', 'worse_in_slice', 'badly_calibrated'] as const;
export type GateObjection = (typeof GATE_OBJECTIONS)[number];

export interface SliceDifference {
  /** `origin=ORD` */
  readonly slice: string;
  readonly rows: number;
  /** Candidate's mean log loss - champion's, nats; the interval is widened for the number of slices (Bonferroni). */
  readonly difference: Estimate;
}

export interface OfflineVerdict {
  readonly pass: boolean;
  readonly rows: number;
  readonly candidateLoss: number | null;
  readonly championLoss: number | null;
  /** Candidate's mean log loss - champion's, nats: below 0 the candidate is better. Null without rows or champion. */
  readonly difference: Estimate | null;
  /** What the bootstrap drew: days where there are at least five, else hours, else stretches of rows. */
  readonly drawn: 'days' | 'hours' | 'rows' | null;
  /** Candidate's. */
  readonly calibrationError: number | null;
  /** Worst first. */
  readonly slices: readonly SliceDifference[];
  readonly objections: ReadonlyArray<{ readonly code: GateObjection; readonly sentence: string }>;
  /** For a person: the verdict and why. */
  readonly sentence: string;
}

const DRAWS = 1_000;
const HOUR_MS = 3_600_000;
/** Below this many groups a resample says little of the spread between them. */
const MIN_GROUPS = 5;
const STRETCHES = 200;

export function judgeOffline(data: OfflineGateRows, rules: OfflineGateRules): OfflineVerdict {
  const { labels, candidate, champion } = data;
  const rows = labels.length;
  for (const [what, length] of [
    ['scores of the candidate', candidate.length],
    ['scores of the champion', champion?.length ?? rows],
    ['times', data.times?.length ?? rows],
  ] as const) {
    if (length !== rows) throw new RangeError(`The offline gate has ${rows} labels, but ${length} ${what}.`);
  }
  const confidence = rules.confidence ?? 0.95;
  const objections: { code: GateObjection; sentence: string }[] = [];
  const object = (code: GateObjection, sentence: string) => void objections.push({ code, sentence });
  if (rows < Math.max(1, rules.minRows)) {
    object(
      'too_few_rows',
      `${many(rows)} rows are too few to judge on; ${many(Math.max(1, rules.minRows))} are asked for`,
    );
  }
  const error = rows === 0 ? null : calibrationError(candidate, labels);
  if (error !== null && error > rules.maxCalibrationError) {
    object(
      'badly_calibrated',
      `the calibration error is ${figure(error)}, above ${figure(rules.maxCalibrationError)}`,
    );
  }
  const losses = lossesOf(candidate, labels);
  const before = champion === null ? null : lossesOf(champion, labels);
  let difference: Estimate | null = null;
  let drawn: OfflineVerdict['drawn'] = null;
  let slices: SliceDifference[] = [];
  if (before !== null && rows > 0) {
    const differences = losses.map((loss, i) => loss - (before[i] as number));
    const grouping = groupingOf(data.times, rows);
    drawn = grouping.drawn;
    difference = bootstrap(differences, grouping.groups, confidence, rules.seed ?? 0);
    if (difference.high === null || difference.high > rules.maxLoss) {
      object(
        'worse',
        difference.high === null
          ? 'all rows are of one stretch of time, so the difference has no interval'
          : `the log loss may be worse by ${figure(difference.high)} (difference ${interval(difference)}), and ${figure(rules.maxLoss)} is allowed`,
      );
    }
    slices = slicesOf(data.slices ?? {}, differences, grouping.groups, rules.sliceMinRows ?? 500, confidence);
    const worse = slices.filter(({ difference: { low } }) => low !== null && low > rules.sliceTolerance);
    const [first] = worse;
    if (first !== undefined) {
      object(
        'worse_in_slice',
        `in ${first.slice} the log loss is worse by ${interval(first.difference)} over ${many(first.rows)} rows${worse.length > 1 ? `, and in ${worse.length - 1} more slices` : ''}; ${figure(rules.sliceTolerance)} is allowed`,
      );
    }
  }
  const pass = objections.length === 0;
  return {
    pass,
    rows,
    candidateLoss: meanOf(losses),
    championLoss: before === null ? null : meanOf(before),
    difference,
    drawn,
    calibrationError: error,
    slices,
    objections,
    sentence: pass
      ? `Passed: ${difference === null ? 'there is no champion to beat' : `log loss against the champion ${interval(difference)}`} on ${many(rows)} rows, calibration error ${figure(error ?? 0)}${slices.length > 0 ? `, none of ${many(slices.length)} slices worse than allowed` : ''}.`
      : `Failed: ${objections.map(({ sentence }) => sentence).join('; ')}.`,
  };
}

function lossesOf(scores: Float64Array, labels: Uint8Array): Float64Array {
  return scores.map((score, i) => {
    if (!(score >= 0 && score <= 1))
      throw new RangeError(`Row ${i} has the score ${score}; a probability is 0 to 1.`);
    const given = labels[i] === 1 ? score : 1 - score;
    return -Math.log(Math.min(1 - LOG_LOSS_CLIP, Math.max(LOG_LOSS_CLIP, given)));
  });
}

function meanOf(values: Float64Array): number | null {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return values.length === 0 ? null : sum / values.length;
}

interface Grouping {
  readonly drawn: 'days' | 'hours' | 'rows';
  /** Group of each row. */
  readonly groups: Float64Array;
}

function groupingOf(times: Float64Array | undefined, rows: number): Grouping {
  if (times !== undefined) {
    const days = times.map(dayOf);
    if (new Set(days).size >= MIN_GROUPS) return { drawn: 'days', groups: days };
    const hours = times.map((time) => Math.floor(time / HOUR_MS));
    if (new Set(hours).size >= MIN_GROUPS) return { drawn: 'hours', groups: hours };
  }
  const stretches = Math.min(rows, STRETCHES);
  return {
    drawn: 'rows',
    groups: Float64Array.from({ length: rows }, (_, i) => Math.floor((i * stretches) / rows)),
  };
}

/** Sums and rows of each group. */
function groupSums(differences: Float64Array, groups: Float64Array, members?: readonly number[]) {
  const index = new Map<number, number>();
  const sums: number[] = [];
  const counts: number[] = [];
  const rows = members?.length ?? differences.length;
  for (let at = 0; at < rows; at++) {
    const row = members === undefined ? at : (members[at] as number);
    const group = groups[row] as number;
    let place = index.get(group);
    if (place === undefined) {
      place = sums.push(0) - 1;
      counts.push(0);
      index.set(group, place);
    }
    sums[place] = (sums[place] as number) + (differences[row] as number);
    counts[place] = (counts[place] as number) + 1;
  }
  return { sums, counts, rows };
}

/** Few groups spread less in resamples than they do in truth: widths are stretched as Student's t is. */
function stretch(groups: number, confidence: number): number {
  const fewer = studentQuantile((1 + confidence) / 2, groups - 1) / normalWidth(confidence);
  return fewer * Math.sqrt(groups / (groups - 1));
}

function bootstrap(
  differences: Float64Array,
  groups: Float64Array,
  confidence: number,
  seed: number,
): Estimate {
  const { sums, counts, rows } = groupSums(differences, groups);
  let total = 0;
  for (const sum of sums) total += sum;
  const mean = total / rows;
  if (sums.length < 2) return estimate(mean, null, null);
  const random = createRandom(seed);
  const means = new Float64Array(DRAWS);
  for (let draw = 0; draw < DRAWS; draw++) {
    let [sum, count] = [0, 0];
    for (let k = 0; k < sums.length; k++) {
      const group = Math.floor(random.next() * sums.length);
      sum += sums[group] as number;
      count += counts[group] as number;
    }
    means[draw] = sum / count;
  }
  means.sort();
  const by = stretch(sums.length, confidence);
  const end = (p: number): number => mean + by * (quantileOf(means, p) - mean);
  return estimate(mean, Math.min(mean, end((1 - confidence) / 2)), Math.max(mean, end((1 + confidence) / 2)));
}

function slicesOf(
  slicings: Readonly<Record<string, ReadonlyArray<string | null>>>,
  differences: Float64Array,
  groups: Float64Array,
  minRows: number,
  confidence: number,
): SliceDifference[] {
  const slices = Object.entries(slicings).flatMap(([name, values]) => {
    if (values.length !== differences.length) {
      throw new RangeError(
        `Every row needs a value of ${name}, or null: ${differences.length} rows, ${values.length} values.`,
      );
    }
    return rowsBySlice(values, minRows).map(({ slice, rows }) => ({ slice: `${name}=${slice}`, rows }));
  });
  const each = 1 - (1 - confidence) / Math.max(1, slices.length);
  return slices
    .map(({ slice, rows }) => ({
      slice,
      rows: rows.length,
      difference: clustered(differences, groups, rows, each),
    }))
    .sort(
      (a, b) =>
        (b.difference.low ?? -Infinity) - (a.difference.low ?? -Infinity) || (a.slice < b.slice ? -1 : 1),
    );
}

/** By formula, since a bootstrap of a thousand draws knows nothing of a tail of one in ten thousand. */
function clustered(
  differences: Float64Array,
  groups: Float64Array,
  members: readonly number[],
  confidence: number,
): Estimate {
  const { sums, counts, rows } = groupSums(differences, groups, members);
  let total = 0;
  for (const sum of sums) total += sum;
  const mean = total / rows;
  const count = sums.length;
  if (count < 2) return estimate(mean, null, null);
  let squares = 0;
  for (let k = 0; k < count; k++) squares += ((sums[k] as number) - mean * (counts[k] as number)) ** 2;
  const deviation = Math.sqrt((squares * count) / (count - 1)) / rows;
  const width = studentQuantile((1 + confidence) / 2, count - 1) * deviation;
  return estimate(mean, mean - width, mean + width);
}
