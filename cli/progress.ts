import { count, cut, duration, padEnd } from './format.ts';

export interface Progress {
  /** `done` of the total, and a word on where it stands. */
  update(done: number, detail?: string): void;
  /** Sets a total that became known later. */
  total(total: number): void;
  detail(text: string): void;
  /** Ends with a tick and what came of it. Answers the time it took, ms. */
  done(summary?: string): number;
  /** Ends with a cross. */
  fail(summary?: string): number;
}

export interface ProgressOptions {
  readonly label: string;
  /** 0 where nobody knows. */
  readonly total: number;
  readonly unit: string;
  /** The line may be drawn again and again; otherwise one plain line now and then. */
  readonly redraw: boolean;
  readonly columns: number;
  readonly colours: {
    readonly dim: (text: string) => string;
    readonly green: (text: string) => string;
    readonly red: (text: string) => string;
    readonly cyan: (text: string) => string;
  };
  readonly write: (text: string) => void;
  /** ms, monotonic. */
  readonly now: () => number;
}

const REDRAW_MS = 80;
/** Without a terminal: often enough for whoever reads a log, seldom enough to keep it short. */
const PLAIN_MS = 10_000;
const LABEL_WIDTH = 24;
const BAR_WIDTH = 24;
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const CLEAR_LINE = '\r\u001b[2K';

export function createProgress(options: ProgressOptions): Progress {
  const { colours, now, redraw, write } = options;
  const began = now();
  let total = options.total;
  let done = 0;
  let detail = '';
  let drawn = redraw ? Number.NEGATIVE_INFINITY : began;
  let frame = 0;
  let ended = false;
  const label = padEnd(options.label, LABEL_WIDTH);

  // A spinner that stands still looks like a program that hangs.
  const timer = redraw ? setInterval(() => draw(false), REDRAW_MS * 2) : undefined;
  timer?.unref();

  function body(): string {
    const elapsed = now() - began;
    const parts: string[] = [];
    if (total > 0) {
      const share = Math.min(1, done / total);
      const full = Math.round(share * BAR_WIDTH);
      if (redraw) parts.push(colours.cyan('█'.repeat(full)) + colours.dim('░'.repeat(BAR_WIDTH - full)));
      parts.push(`${Math.floor(share * 100)} %`);
    }
    if (done > 0 && options.unit !== '') {
      parts.push(`${count(done)} ${options.unit}`);
      if (elapsed > 500) parts.push(`${count((done * 1_000) / elapsed)}/s`);
    }
    if (total > 0 && done > 0 && done < total && elapsed > 1_000)
      parts.push(`${duration((elapsed * (total - done)) / done)} left`);
    if (detail !== '') parts.push(detail);
    return parts.join('  ');
  }

  function draw(force: boolean): void {
    if (ended) return;
    const at = now();
    if (!force && at - drawn < (redraw ? REDRAW_MS : PLAIN_MS)) return;
    drawn = at;
    if (!redraw) {
      write(`  … ${label} ${body()}\n`);
      return;
    }
    frame += 1;
    write(
      `${CLEAR_LINE}${cut(`  ${colours.cyan(SPINNER[frame % SPINNER.length] ?? '')} ${label} ${body()}`, options.columns)}`,
    );
  }

  function end(mark: string, summary: string): number {
    const elapsed = now() - began;
    if (ended) return elapsed;
    ended = true;
    clearInterval(timer);
    write(
      `${redraw ? CLEAR_LINE : ''}  ${mark} ${label} ${padEnd(duration(elapsed), 11)}${summary}`.trimEnd(),
    );
    write('\n');
    return elapsed;
  }

  draw(redraw);
  return {
    update(value, text) {
      done = value;
      if (text !== undefined) detail = text;
      draw(false);
    },
    total(value) {
      total = value;
    },
    detail(text) {
      detail = text;
      draw(false);
    },
    done: (summary = '') => end(colours.green('✓'), summary),
    fail: (summary = '') => end(colours.red('✗'), summary),
  };
}
