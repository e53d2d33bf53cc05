/** How long a partition waits for the registry to know a schema, ms: one registered just before may not be everywhere yet. */
const WAIT_MS = 20_000;
/** After a wait in vain, made-up ids make the partition wait no more for so long, ms. */
const NO_WAIT_FOR_MS = 600_000;
/** Between two questions, ms. */
const ASK_EVERY_MS = 500;

/**
 * The wait of one raw partition for schemas that its next records name and the registry does not know. Its records stay unread
 * meanwhile, so nothing takes it for idle; the other partitions go on. A wait has an end, and after one in vain there is none for
 * a while: who sends made-up ids holds the partition up for twenty seconds in ten minutes, and not for ever.
 */
export class SchemaWait {
  #since: number | null = null;
  #askAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;

  /** Whether records that need these schemas are left unread for now. `now`: this process' clock, ms. */
  holds(unknown: readonly number[], now: number): boolean {
    if (unknown.length === 0) {
      this.#since = null;
      return false;
    }
    if (now < this.#notBefore) return false;
    this.#since ??= now;
    if (now - this.#since < WAIT_MS) {
      this.#askAt = now + ASK_EVERY_MS;
      return true;
    }
    this.#since = null;
    this.#notBefore = now + NO_WAIT_FOR_MS;
    return false;
  }

  /** The partition is not polled before the next question. */
  pausedAt(now: number): boolean {
    return this.#since !== null && now < this.#askAt;
  }
}
