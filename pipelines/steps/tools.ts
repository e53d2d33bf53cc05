import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import type { StepKind } from '../../schemas/pipeline.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { StepOutcome } from '../runs/changes.ts';
import { ancestors, type Json } from '../runs/run.ts';
import type { StepCall } from '../runs/work.ts';
import type { FitTrial } from '../training/fit.ts';
import type { RunMirror } from '../training/runs.ts';

/** What steps work with. A part that a step does not use is not opened. */
export interface StepTools {
  readonly project: Project;
  readonly warehouse: Warehouse;
  /** Models. */
  readonly artefacts: ArtefactStore;
  /** Data sets, apart from the models: they are large, and can be built again. */
  readonly dataSets: ArtefactStore & DataSetShelf;
  readonly registry: () => Promise<ModelRegistry>;
  readonly codeVersion: string;
  /** Wall time, epoch ms. */
  readonly now: () => number;
  /** Threads that try out parameters. */
  readonly tuningWorkers: number;
  readonly mirror: RunMirror | null;
  /** What trains; where absent, the thread that does the step. */
  readonly trial?: FitTrial;
}

export interface DataSetShelf {
  /** Removes all but the youngest. */
  prune(keep: number): Promise<void>;
}

export interface StepContext extends StepTools {
  readonly call: StepCall;
  readonly model: Model;
  readonly signal: AbortSignal;
}

export type StepWork = (context: StepContext) => Promise<StepOutcome>;

/** A step that lacks what it needs to work on. */
export class StepRefused extends MillraceError {
  readonly code = 'step_refused';
  readonly retriable = false;
}

/** What the nearest step of a kind before this one made; null where none is before it. */
export function inputOf<T>({ call }: StepContext, kind: StepKind): T | null {
  const before = ancestors(call.run, call.step.step.name).findLast(({ step }) => step.kind === kind);
  return before?.state === 'done' ? (before.result as T) : null;
}

/** @throws StepRefused that names the pipeline's mend. */
export function needed<T>(context: StepContext, kind: StepKind): T {
  const found = inputOf<T>(context, kind);
  if (found !== null) return found;
  const { step } = context.call.step;
  throw new StepRefused(
    `Step ${step.name} of pipeline ${context.call.run.pipeline} works on what a step that does '${kind}' made, and none is before it: name one under its needs.`,
  );
}

/** JSON as it comes back from a document: no undefined, no NaN, nothing but data. */
export const jsonOf = (value: unknown): Json => JSON.parse(JSON.stringify(value ?? null)) as Json;

export const done = (result: unknown, note: string): StepOutcome => ({
  kind: 'done',
  result: jsonOf(result),
  note,
});
export const refused = (result: unknown, note: string): StepOutcome => ({
  kind: 'refused',
  result: jsonOf(result),
  note,
});
export const watching = (result: unknown, note: string): StepOutcome => ({
  kind: 'watch',
  result: jsonOf(result),
  note,
});
