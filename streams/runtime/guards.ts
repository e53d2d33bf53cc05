/**
 * The rules that keep the data plane's promises through pauses, outages and skewed clocks. All are on; the simulation
 * switches one off at a time to show that histories fail without it.
 */
export interface Guards {
  /** Clocks: an event's time counts no further than the broker's append time. */
  readonly cap: boolean;
  /** Waking: an idle partition is told awake before anything of its flush, or any other partition's records, is sent. */
  readonly wakeFirst: boolean;
  /** Waking: nobody works a record while a partition of the same views is idle and has unread records. */
  readonly neighbours: boolean;
  /** Idleness: a header of an older turn changes nothing. */
  readonly turns: boolean;
  /** Alignment: in backlog the least event time goes first, and none runs ahead. */
  readonly align: boolean;
  /** Hold: compaction stays below what readers may still ask for. */
  readonly hold: boolean;
  /** Hold: in backlog features waits for readers that move. */
  readonly pace: boolean;
  /** In backlog a request waits for its full head while a frontier moves. */
  readonly backlogWaits: boolean;
  /** Sparse sources: the broker's clock moves the watermark of a partition at its end. */
  readonly moveOn: boolean;
  /** Sparse sources: it does so only while no idle partition has unread records. */
  readonly moveOnAsks: boolean;
}

export const ALL_GUARDS: Guards = {
  cap: true,
  wakeFirst: true,
  neighbours: true,
  turns: true,
  align: true,
  hold: true,
  pace: true,
  backlogWaits: true,
  moveOn: true,
  moveOnAsks: true,
};
