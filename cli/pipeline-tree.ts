import type { PipelineRun, StepRecord } from '../pipelines/runs/run.ts';
import { cut, duration, instant } from './format.ts';
import type { Colours } from './output.ts';

const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

/** A run as a tree of its steps. `now` is wall time, epoch ms; the spinner turns with it. */
export function treeLines(run: PipelineRun, colours: Colours, now: number): string[] {
  const width = Math.max(...run.steps.map(({ step }) => step.name.length));
  const head = `${colours.bold(run.id)}  ${paintState(run.state, colours)}  ${colours.dim(
    `${run.model}, as of ${instant(run.eventTime)}, ${run.cause}`,
  )}`;
  const lines = run.steps.map((record, index) => {
    const { step } = record;
    const branch = index === run.steps.length - 1 ? '└─' : '├─';
    const above = run.steps[index - 1]?.step.name;
    const chained = step.needs.length === 1 && step.needs[0] === above;
    // Only what is not plain to see: a step mostly follows the one above it.
    const after = index === 0 || chained ? '' : colours.dim(`after ${step.needs.join(', ') || 'nothing'}  `);
    const time = timeOf(record, now);
    const tries = record.failures > 0 ? colours.yellow(`${record.failures} failed  `) : '';
    return `${colours.dim(branch)} ${markOf(record, colours, now)} ${step.name.padEnd(width)}  ${time.padStart(11)}  ${after}${tries}${wordsOf(record, run, colours, now)}`.trimEnd();
  });
  return [head, ...lines];
}

function markOf({ state, looked, refused }: StepRecord, colours: Colours, now: number): string {
  if (state === 'done') return refused ? colours.yellow('✗') : colours.green('✓');
  if (state === 'failed') return colours.red('✗');
  if (state === 'running') return colours.cyan(SPINNER[Math.floor(now / 160) % SPINNER.length] ?? '');
  if (state === 'waiting') return looked === null ? colours.dim('·') : colours.cyan('◌');
  return colours.dim('-');
}

function timeOf({ state, startedAt, finishedAt }: StepRecord, now: number): string {
  if (startedAt === null) return '';
  if (state === 'running') return duration(Math.max(0, now - startedAt));
  return finishedAt === null ? '' : duration(Math.max(0, finishedAt - startedAt));
}

function wordsOf(record: StepRecord, run: PipelineRun, colours: Colours, now: number): string {
  const { state, note, error, notBefore, looked } = record;
  if (state === 'failed') return colours.red(error);
  if (state === 'cancelled') return colours.dim(error);
  if (state === 'skipped') return colours.dim(note);
  if (state === 'waiting' && error !== '')
    return `${colours.yellow(error)} ${notBefore === null ? '' : `again in ${duration(Math.max(0, notBefore - now))}`}`;
  if (state === 'waiting' && looked !== null)
    return `${note} ${colours.dim(`(looked at ${instant(looked)})`)}`;
  if (state === 'waiting')
    return run.outside ? colours.dim(`millrace pipelines step ${record.step.name}`) : '';
  return note;
}

export function paintState(state: PipelineRun['state'], colours: Colours): string {
  if (state === 'done') return colours.green(state);
  if (state === 'failed') return colours.red(state);
  if (state === 'refused' || state === 'cancelled') return colours.yellow(state);
  return state === 'waiting' ? colours.dim(state) : colours.cyan(state);
}

export interface LiveTree {
  draw(lines: readonly string[]): void;
  /** For the last time: whole lines, which may wrap. */
  end(lines: readonly string[]): void;
}

/** Lines that are drawn over again and again. `columns` of the terminal are asked for at each: it may change its size. */
export function createLiveTree(write: (text: string) => void, columns: () => number): LiveTree {
  let drawn = 0;
  const over = (lines: readonly string[]) => {
    const up = drawn === 0 ? '' : `\u001b[${drawn}F`;
    write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join('')}\u001b[0J`);
    drawn = lines.length;
  };
  return {
    draw(lines) {
      const width = columns();
      over(lines.map((line) => cut(line, width)));
    },
    end: over,
  };
}
