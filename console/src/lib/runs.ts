import type { Answers } from './answers.ts';

export type Training = Answers['listRuns']['runs'][number];

/** A run with its parameters and figures, as far as they are compared. */
export interface TrainingRecord extends Training {
  readonly dataset: string;
  readonly codeVersion: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly metrics: ReadonlyArray<{
    readonly metric: string;
    readonly slice: string;
    readonly step: number;
    readonly value: number;
  }>;
}

export interface Difference {
  readonly name: string;
  /** In the order of the runs; a dash where a run does not say. */
  readonly values: readonly string[];
}

/** What was recorded of runs and is not the same in all of them: what they were given first, then their figures. */
export function differing(runs: readonly TrainingRecord[]): readonly Difference[] {
  const told = runs.map(factsOf);
  const names = [...new Set(told.flatMap((facts) => [...facts.keys()]))];
  return names
    .map((name) => ({ name, values: told.map((facts) => facts.get(name) ?? '–') }))
    .filter(({ values }) => new Set(values).size > 1);
}

function factsOf(run: TrainingRecord): ReadonlyMap<string, string> {
  const facts = new Map([
    ['code', run.codeVersion],
    ['data set', run.dataset.slice(0, 12)],
  ]);
  for (const [name, value] of Object.entries(run.parameters)) facts.set(name, text(value));
  // Steps above 0 are a curve of the training.
  for (const { metric, slice, step, value } of run.metrics)
    if (step === 0) facts.set(slice === '' ? metric : `${metric} of ${slice}`, text(value));
  return facts;
}

const text = (value: unknown): string =>
  typeof value === 'number'
    ? String(Number(value.toPrecision(5)))
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);
