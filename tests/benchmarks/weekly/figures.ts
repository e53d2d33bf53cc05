import { metricsOf } from '../../../models/metrics.ts';
import { createRandom } from '../../../models/random.ts';
import { DAY } from '../../../schemas/time.ts';

/** A mean of paired differences with its 95 % interval, days drawn whole. */
export interface Difference {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface Figures {
  /** Nats a flight. */
  readonly logLoss: number;
  readonly calibrationError: number;
}

export const WEEK = 7 * DAY;
const DRAWS = 2_000;

export function figuresOf(scores: Float64Array, labels: Uint8Array): Figures {
  const { logLoss, calibrationError } = metricsOf(scores, labels);
  return { logLoss, calibrationError };
}

/** Mean of loss(a) - loss(b) over rows that come bit by bit, with a bootstrap of whole days: flights of one day err together. */
export class PairedDays {
  readonly #days = new Map<number, { sum: number; rows: number }>();
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Scores, labels (0 or 1) and request times (epoch ms) run in parallel. */
  add(a: Float64Array, b: Float64Array, labels: Uint8Array, times: Float64Array): this {
    for (let i = 0; i < labels.length; i += 1) {
      const day = Math.floor((times[i] as number) / DAY);
      const one = this.#days.get(day) ?? { sum: 0, rows: 0 };
      one.sum += loss(a[i] as number, labels[i] as number) - loss(b[i] as number, labels[i] as number);
      one.rows += 1;
      this.#days.set(day, one);
    }
    this.#rows += labels.length;
    return this;
  }

  difference(): Difference {
    const all = [...this.#days.values()];
    const random = createRandom(1);
    const means = Float64Array.from({ length: DRAWS }, () => {
      let [sum, rows] = [0, 0];
      for (let i = 0; i < all.length; i += 1) {
        const one = all[Math.floor(random.next() * all.length)];
        sum += one?.sum ?? 0;
        rows += one?.rows ?? 0;
      }
      return sum / rows;
    }).sort();
    return {
      value: all.reduce((sum, one) => sum + one.sum, 0) / this.#rows,
      low: means[0.025 * DRAWS] ?? 0,
      high: means[0.975 * DRAWS - 1] ?? 0,
    };
  }
}

const loss = (score: number, label: number): number =>
  -Math.log(Math.min(1 - 1e-6, Math.max(1e-6, label === 1 ? score : 1 - score)));
