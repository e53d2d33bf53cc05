import type { Clock } from '../../schemas/clock.ts';
import type { Telemetry } from './telemetry.ts';

/** A failure of the same kind after so long is a new one, ms. */
const FORGET_AFTER_MS = 600_000;

/** What a stream fails with, and how often in a row: told once, in the log, in `/health` and as a metric, until it goes on. */
export class Failing {
  readonly #stream: string;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #telemetry: Pick<Telemetry, 'failing'>;
  #kind = '';
  #times = 0;
  #since = 0;
  #lastAt = 0;
  #told = false;

  constructor(stream: string, clock: Pick<Clock, 'now'>, telemetry: Pick<Telemetry, 'failing'>) {
    this.#stream = stream;
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  /** Is there a failure that the stream has not got over? */
  get open(): boolean {
    return this.#told;
  }

  /** Counts a failure; answers how often the same one has come in a row. */
  note(error: Error): number {
    const now = this.#clock.now();
    const kind = kindOf(error);
    if (kind !== this.#kind || now - this.#lastAt > FORGET_AFTER_MS) {
      this.#kind = kind;
      this.#times = 0;
      this.#since = now;
    }
    this.#times += 1;
    this.#lastAt = now;
    return this.#times;
  }

  /** Tells of the failure last counted, and in how long it is tried again; null: never. */
  tell(error: Error, pauseMs: number | null): void {
    this.#told = true;
    const reason = reasonOf(error);
    const often =
      this.#times === 1 ? '' : ` (${this.#times} times since ${new Date(this.#since).toISOString()})`;
    const next =
      pauseMs === null
        ? 'it has stopped'
        : `it begins again in ${(pauseMs / 1_000).toFixed(pauseMs < 1_000 ? 1 : 0)} s`;
    this.#telemetry.failing(this.#stream, {
      reason,
      times: this.#times,
      sentence: `${reason}${often}; ${next}`,
      final: pauseMs === null,
    });
  }

  /** It has gone on. `forget`: the same failure is a new one from here on, else it is one more in the row. */
  end(forget = true): void {
    if (forget) this.#times = 0;
    if (!this.#told) return;
    this.#told = false;
    this.#telemetry.failing(this.#stream, null);
  }
}

/** Two failures that differ in numbers alone (an offset, a time, a count) are of one kind. */
function kindOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return `${code} ${error.message.replace(/\d+/g, '0')}`;
}

/** One line that is never empty. */
export function reasonOf(error: Error): string {
  const line = error.message.split('\n')[0]?.trim() ?? '';
  if (line !== '') return line.replace(/\.$/, '');
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code !== '') return code;
  return error.cause instanceof Error ? reasonOf(error.cause) : error.name;
}
