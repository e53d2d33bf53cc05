/** What the demo does with the flights project: event times in epoch ms, UTC. */

/** History is every event before this; the replay is every event from then. */
export const HISTORY_TO = Date.UTC(2001, 2, 23);
/**
 * What is imported first: no window of a feature reaches further back from the first day, so that its values are those of the whole
 * history. The rest comes while that day is played.
 */
export const RECENT_FROM = Date.UTC(2001, 2, 12);
/**
 * Version 1 learns from some requests of one day and answers the next, the first of the replay. What trains the declared network takes
 * longer to load than a regression takes to learn.
 */
export const FIRST_MODEL = {
  from: Date.UTC(2001, 2, 22),
  rows: 5_000,
  trainer: { name: 'logistic', parameters: {} },
} as const;
/** Version 2, learnt from the whole history, answers from here on. */
export const SECOND_MODEL_FROM = Date.UTC(2001, 2, 24);
/** Event time per wall time of the first day, for as long as version 2 still learns. */
export const OPENING_PACE = 300;
/** The first day stands here until version 2 has learnt: before the tick at which the day is judged. */
export const OPENING_TO = SECOND_MODEL_FROM - 3_600_000;
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
