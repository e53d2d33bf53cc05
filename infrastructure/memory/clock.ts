import type { Clock } from '../../schemas/clock.ts';

interface Sleeper {
  readonly at: number;
  readonly order: number;
  readonly wake: () => void;
}

/**
 * Virtual time for a whole platform in one process: `sleep` ends when time gets there, and time only moves
 * when `advance` or `runUntil` moves it, once nothing else is left to do. Nothing waits for the wall clock.
 */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  #sleepers: Sleeper[] = [];

  constructor(start = 0) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      this.#order += 1;
      this.#sleepers.push({ at: this.#now + Math.max(0, ms), order: this.#order, wake });
    });
  }

  /** Moves time from sleeper to sleeper until `done` says so. False where `limitMs` of virtual time was not enough. */
  async runUntil(done: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#now + limitMs;
    for (;;) {
      await settle();
      if (done()) return true;
      const next = this.#removeNext();
      if (next === null) {
        if (this.#now >= end) return false;
        this.#now += 1;
        continue;
      }
      if (next.at > end) {
        this.#sleepers.push(next);
        return false;
      }
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
  }

  #removeNext(): Sleeper | null {
    let best = -1;
    for (let i = 0; i < this.#sleepers.length; i += 1) {
      const a = this.#sleepers[i];
      const b = this.#sleepers[best];
      if (a === undefined) continue;
      if (b === undefined || a.at < b.at || (a.at === b.at && a.order < b.order)) best = i;
    }
    return best < 0 ? null : (this.#sleepers.splice(best, 1)[0] ?? null);
  }
}

/** Lets every promise that can go on do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
