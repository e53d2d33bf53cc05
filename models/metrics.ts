/**
 * How good are these probabilities? Every figure here is a function of the set of (score, label) pairs: the order of
 * the rows changes nothing but the last bits of a sum. Labels are 0 or 1, scores probabilities in [0, 1].
 */
export interface ReliabilityBin {
  readonly rows: number;
  readonly meanScore: number;
  /** Share of labels that are 1. */
  readonly rate: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface Metrics {
  readonly rows: number;
  readonly positives: number;
  readonly baseRate: number;
  readonly meanScore: number;
  /** Null where only one class is present: there is nothing to rank. */
  readonly auc: number | null;
  readonly logLoss: number;
  readonly brier: number;
  readonly calibrationError: number;
}

/** Scores are kept this far from 0 and 1 in the log loss, so that one certain mistake is a large number, not infinity. */
export const LOG_LOSS_CLIP = 1e-15;
export const CALIBRATION_BINS = 15;

function checkRows(scores: Float64Array, labels: Uint8Array): void {
  if (scores.length !== labels.length || scores.length === 0) {
    throw new RangeError(
      `Metrics need at least one row and a label for each: ${scores.length} scores, ${labels.length} labels.`,
    );
  }
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!(score >= 0 && score <= 1))
      throw new RangeError(`Row ${i} has the score ${score}; a probability is 0 to 1.`);
    if ((labels[i] as number) > 1)
      throw new RangeError(`Row ${i} has the label ${labels[i]}; a label is 0 or 1.`);
  }
}

/** Row numbers by rising score. */
function byScore(scores: Float64Array): Uint32Array {
  return Uint32Array.from(scores, (_, i) => i).sort((a, b) => (scores[a] as number) - (scores[b] as number));
}

/**
 * Area under the ROC curve: the chance that a random positive scores above a random negative, ties counting half.
 * By ranks: (sum of the positives' mid-ranks - p(p+1)/2) / (p n). Hanley and McNeil, Radiology 143 (1982).
 */
export function auc(scores: Float64Array, labels: Uint8Array): number | null {
  checkRows(scores, labels);
  return aucOf(scores, labels, byScore(scores));
}

function aucOf(scores: Float64Array, labels: Uint8Array, order: Uint32Array): number | null {
  let positives = 0;
  let rankSum = 0;
  for (let from = 0; from < order.length; ) {
    const score = scores[order[from] as number];
    let to = from;
    let tied = 0;
    while (to < order.length && scores[order[to] as number] === score)
      tied += labels[order[to++] as number] as number;
    rankSum += tied * ((from + 1 + to) / 2);
    positives += tied;
    from = to;
  }
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Mean of -ln of the probability given to what happened (natural logarithm, nats a row). Good, JRSS B 14 (1952). */
export function logLoss(scores: Float64Array, labels: Uint8Array): number {
  checkRows(scores, labels);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    const given = labels[i] === 1 ? (scores[i] as number) : 1 - (scores[i] as number);
    sum -= Math.log(Math.min(1 - LOG_LOSS_CLIP, Math.max(LOG_LOSS_CLIP, given)));
  }
  return sum / scores.length;
}

/** Mean of (score - label) squared. Brier, Monthly Weather Review 78 (1950), in the usual form for two classes. */
export function brier(scores: Float64Array, labels: Uint8Array): number {
  checkRows(scores, labels);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += ((scores[i] as number) - (labels[i] as number)) ** 2;
  return sum / scores.length;
}

/**
 * The reliability table: rows sorted by score, cut into `bins` parts of equal count. Equal scores are never cut apart
 * (a part then grows, a later one may fall away), so that the table does not depend on the order of the rows.
 */
export function reliability(
  scores: Float64Array,
  labels: Uint8Array,
  bins: number = CALIBRATION_BINS,
): ReliabilityBin[] {
  checkRows(scores, labels);
  return reliabilityOf(scores, labels, byScore(scores), bins);
}

function reliabilityOf(
  scores: Float64Array,
  labels: Uint8Array,
  order: Uint32Array,
  bins: number,
): ReliabilityBin[] {
  const table: ReliabilityBin[] = [];
  let from = 0;
  for (let bin = 1; bin <= bins; bin++) {
    let to = Math.max(from, Math.round((bin * order.length) / bins));
    while (to > 0 && to < order.length && scores[order[to] as number] === scores[order[to - 1] as number])
      to++;
    if (to === from) continue;
    let scoreSum = 0;
    let positives = 0;
    for (let i = from; i < to; i++) {
      scoreSum += scores[order[i] as number] as number;
      positives += labels[order[i] as number] as number;
    }
    table.push({
      rows: to - from,
      meanScore: scoreSum / (to - from),
      rate: positives / (to - from),
      lowest: scores[order[from] as number] as number,
      highest: scores[order[to - 1] as number] as number,
    });
    from = to;
  }
  return table;
}

/**
 * Expected calibration error over parts of equal count: the mean of |mean score - rate|, weighted by rows. Naeini, Cooper
 * and Hauskrecht (AAAI 2015); equal counts as in Nixon and others, "Measuring calibration in deep learning" (2019).
 */
export function calibrationError(
  scores: Float64Array,
  labels: Uint8Array,
  bins: number = CALIBRATION_BINS,
): number {
  return errorOfTable(reliability(scores, labels, bins), scores.length);
}

function errorOfTable(table: readonly ReliabilityBin[], rows: number): number {
  let sum = 0;
  for (const bin of table) sum += bin.rows * Math.abs(bin.meanScore - bin.rate);
  return sum / rows;
}

/** All figures at once, sorting once. */
export function metricsOf(
  scores: Float64Array,
  labels: Uint8Array,
  bins: number = CALIBRATION_BINS,
): Metrics {
  checkRows(scores, labels);
  const order = byScore(scores);
  const rows = scores.length;
  let positives = 0;
  let scoreSum = 0;
  for (let i = 0; i < rows; i++) {
    positives += labels[i] as number;
    scoreSum += scores[i] as number;
  }
  return {
    rows,
    positives,
    baseRate: positives / rows,
    meanScore: scoreSum / rows,
    auc: aucOf(scores, labels, order),
    logLoss: logLoss(scores, labels),
    brier: brier(scores, labels),
    calibrationError: errorOfTable(reliabilityOf(scores, labels, order, bins), rows),
  };
}

/**
 * The same figures for each group of rows, in rising order of the group.
 *
 * @param groups one whole number a row, `dayOf(time)` for instance.
 */
export function metricsByGroup(
  scores: Float64Array,
  labels: Uint8Array,
  groups: ArrayLike<number>,
  bins: number = CALIBRATION_BINS,
): { readonly group: number; readonly metrics: Metrics }[] {
  if (groups.length !== scores.length) {
    throw new RangeError(`Every row needs a group: ${scores.length} rows, ${groups.length} groups.`);
  }
  const members = new Map<number, number[]>();
  for (let i = 0; i < scores.length; i++) {
    const group = groups[i] as number;
    const rows = members.get(group);
    if (rows === undefined) members.set(group, [i]);
    else rows.push(i);
  }
  return [...members]
    .sort(([a], [b]) => a - b)
    .map(([group, rows]) => ({
      group,
      metrics: metricsOf(
        Float64Array.from(rows, (row) => scores[row] as number),
        Uint8Array.from(rows, (row) => labels[row] as number),
        bins,
      ),
    }));
}

const DAY_MS = 86_400_000;

/** Number of the UTC day (days since 1970-01-01) of a time in epoch milliseconds. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS);
}
