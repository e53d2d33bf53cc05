import type { Scorer } from '../../../models/scorer.ts';
import { DAY, floorTo, HOUR } from '../../../schemas/time.ts';
import { figuresOf, PairedDays, WEEK } from './figures.ts';
import type { Promotion } from './happened.ts';
import { type LoggedDeps, type LoggedRows, readRows } from './logged.ts';
import type { Week, WeeklyReport } from './report.ts';

interface MeasureOptions extends LoggedDeps {
  /** Request times, epoch ms: from <= time < to. Weeks begin at `from`. */
  readonly from: number;
  readonly to: number;
  readonly january: Scorer;
  readonly promotions: readonly Promotion[];
  readonly scorerOf: (version: number) => Promise<Scorer>;
  /** Hears of each day that it has come to, event time, epoch ms. */
  readonly onDay: (day: number) => void;
  readonly signal: AbortSignal;
}

/** A promotion takes effect some hours after midnight: the last week may lack as much. */
const NEARLY = WEEK - 6 * HOUR;

/** One pass over what was logged, a day at a time: of each flight no more is kept than two scores and a label. */
export async function measureWeeks(
  options: MeasureOptions,
): Promise<
  Pick<WeeklyReport, 'all' | 'promotions'> & { readonly weeks: ReadonlyArray<Omit<Week, 'events'>> }
> {
  const { from, to, january, promotions, scorerOf, onDay, signal } = options;
  const all = new Side();
  const weeks = new Map<number, Side>();
  const after = promotions.map((promotion) => ({ ...promotion, pairs: new PairedDays() }));
  for (let day = floorTo(from, DAY); day < to; day += DAY) {
    signal.throwIfAborted();
    onDay(day);
    const rows = await readRows(options, { from: Math.max(from, day), to: Math.min(to, day + DAY) });
    if (rows.labels.length === 0) continue;
    const week = from + floorTo(Math.max(0, day - from), WEEK);
    const side = weeks.get(week) ?? new Side();
    weeks.set(week, side);
    const scores = scored(january, rows);
    for (const one of [all, side]) one.add(rows, scores);
    for (const { at, version, before, pairs } of after) {
      const within = between(rows, at, at + WEEK);
      if (within.labels.length === 0) continue;
      const [a, b] = [scored(await scorerOf(version), within), scored(await scorerOf(before), within)];
      pairs.add(a, b, within.labels, within.times);
    }
  }
  return {
    weeks: [...weeks].map(([start, side]) => ({ from: start, flights: side.rows, ...side.figures() })),
    all: all.figures(),
    promotions: after.map(({ at, version, pairs }) => ({
      at,
      version,
      // Days are what is drawn: a few of them say nothing of a week.
      nextWeek: to - at < NEARLY || pairs.rows === 0 ? null : pairs.difference(),
    })),
  };
}

/** What was answered beside what January would have said. */
class Side {
  readonly #served: Float64Array[] = [];
  readonly #january: Float64Array[] = [];
  readonly #labels: Uint8Array[] = [];
  readonly #gain = new PairedDays();

  get rows(): number {
    return this.#gain.rows;
  }

  add({ served, labels, times }: LoggedRows, january: Float64Array): void {
    this.#served.push(served);
    this.#january.push(january);
    this.#labels.push(labels);
    this.#gain.add(january, served, labels, times);
  }

  figures(): Pick<Week, 'loop' | 'january' | 'gain'> {
    const labels = new Uint8Array(this.rows);
    let at = 0;
    for (const one of this.#labels) {
      labels.set(one, at);
      at += one.length;
    }
    return {
      loop: figuresOf(joined(this.#served, this.rows), labels),
      january: figuresOf(joined(this.#january, this.rows), labels),
      gain: this.#gain.difference(),
    };
  }
}

function joined(parts: readonly Float64Array[], length: number): Float64Array {
  const whole = new Float64Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function scored(scorer: Scorer, { vectors, labels }: LoggedRows): Float64Array {
  const out = new Float64Array(labels.length);
  scorer.scoreBatch(vectors, labels.length, out);
  return out;
}

/** Rows are in the order of time. */
function between({ times, labels, served, vectors }: LoggedRows, from: number, to: number): LoggedRows {
  const place = (time: number) => {
    const found = times.findIndex((one) => one >= time);
    return found < 0 ? times.length : found;
  };
  const [first, next] = [place(from), place(to)];
  const width = times.length === 0 ? 0 : vectors.length / times.length;
  return {
    times: times.subarray(first, next),
    labels: labels.subarray(first, next),
    served: served.subarray(first, next),
    vectors: vectors.subarray(first * width, next * width),
  };
}
