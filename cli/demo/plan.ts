/** What the demo does with the flights project: event times in epoch ms, UTC. */

/** History is every event before this; the replay is every event from then. */
export const HISTORY_TO = Date.UTC(2001, 2, 23);
/**
 * Up to here the replay goes as fast as it is answered; the last day is paced, so that its latencies mean
 * something, and comes last, so that they are those of streams that have been running for a while.
 */
export const PACED_FROM = Date.UTC(2001, 3, 15);
/** Event time per wall time of the paced day. */
export const PACE = 3_600;
export const REPLAY_TO = Date.UTC(2001, 3, 16);
/** From REPLAY_TO to here only arrivals of flights that had departed: their outcomes. */
export const LABELS_TO = Date.UTC(2001, 3, 16, 13, 15);

/** Planted bad records, of each kind, chosen by this seed. */
export const PLANTED_EACH = 20;
export const SEED = 4;

/** Rows the demo learns from at most, so that it stays short; a project's own `sample` may be larger. */
export const SAMPLE_ROWS = 150_000;
