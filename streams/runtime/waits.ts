import type { Clock } from '../../schemas/clock.ts';
import type { Telemetry } from './telemetry.ts';

/** A wait of this length is told, ms. */
const TELL_AFTER_MS = 10_000;

/** What a stream waits for, and since when. Nothing waits for long in silence: health, metrics and the log say for whom. */
export class Waits {
  readonly #stream: string;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #telemetry: Pick<Telemetry, 'waiting'>;
  readonly #since = new Map<string, { readonly at: number; told: boolean }>();

  constructor(stream: string, clock: Pick<Clock, 'now'>, telemetry: Pick<Telemetry, 'waiting'>) {
    this.#stream = stream;
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  /**
   * Still waiting. `what` is one of a closed list, and with `where` it names the wait; `sentence` says for whom. Answers how
   * long it has been, ms.
   */
  note(what: string, where: string, sentence: () => string): number {
    const key = `${what} ${where}`;
    const now = this.#clock.now();
    let wait = this.#since.get(key);
    if (wait === undefined) {
      wait = { at: now, told: false };
      this.#since.set(key, wait);
    }
    const waitedMs = now - wait.at;
    if (!wait.told && waitedMs >= TELL_AFTER_MS) {
      wait.told = true;
      this.#telemetry.waiting(this.#stream, what, where, sentence());
    }
    return waitedMs;
  }

  /** The wait is over, or there was none. */
  end(what: string, where: string): void {
    const key = `${what} ${where}`;
    const wait = this.#since.get(key);
    if (wait === undefined) return;
    this.#since.delete(key);
    if (wait.told) this.#telemetry.waiting(this.#stream, what, where, null);
  }

  /** No wait of this kind is left. */
  endAll(what: string): void {
    for (const key of [...this.#since.keys()])
      if (key.startsWith(`${what} `)) this.end(what, key.slice(what.length + 1));
  }
}
