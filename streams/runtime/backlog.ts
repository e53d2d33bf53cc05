/** Backlog is a record that its broker appended longer ago than this, ms: somebody was away, and works it off. */
export const BACKLOG_AFTER_MS = 2_000;

/** A partition, reader or frontier that has not moved for this long is waited for no longer, ms. */
export const STUCK_AFTER_MS = 10_000;
