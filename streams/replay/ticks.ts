import type { Clock } from '../../schemas/clock.ts';

/** One more limit of a replay: what watches it may take its time. */
export interface LoopLimit {
  /**
   * The first tick after `from` (event time, epoch ms) that is not finished: no event of that time or later is
   * sent. Asked again while the replay waits there.
   */
  next(from: number): Promise<number>;
}

const ASK_EVERY_MS = 50;

/** The tick of event time at which the loop holds a replay; infinity where there is no loop. */
export class Ticks {
  readonly #loop: LoopLimit | undefined;
  readonly #clock: Clock;
  #next = Number.POSITIVE_INFINITY;
  #askedAt = 0;

  constructor(loop: LoopLimit | undefined, clock: Clock) {
    this.#loop = loop;
    this.#clock = clock;
  }

  /** The first tick that was not finished when the loop was asked last, epoch ms. */
  get next(): number {
    return this.#next;
  }

  async start(time: number): Promise<void> {
    if (this.#loop !== undefined) this.#next = await this.#loop.next(time);
  }

  /** Asks again where the tick holds `position`, now and then. False where there was nothing to ask. */
  async ask(position: number): Promise<boolean> {
    const now = this.#clock.now();
    if (this.#loop === undefined || position < this.#next || now - this.#askedAt < ASK_EVERY_MS) return false;
    this.#askedAt = now;
    this.#next = await this.#loop.next(this.#next - 1);
    return true;
  }
}
