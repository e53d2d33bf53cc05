/**
 * Log loss for comparing two versions request by request. Scores are clipped, so that one request can move a comparison by
 * no more than 6.9 nats, and each loss is rounded once to a whole number of nano-nats: sums of whole numbers below 2^53
 * are exact, so the order in which rows of a block arrive changes no bit.
 */
const SCORE_CLIP = 0.001;
export const NANO = 1e-9;

/** Log loss of one request in nano-nats, a whole number. */
export function lossNano(score: number, label: number): number {
  const given = label === 1 ? score : 1 - score;
  return Math.round(-Math.log(Math.min(1 - SCORE_CLIP, Math.max(SCORE_CLIP, given))) / NANO);
}
