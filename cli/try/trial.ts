import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { type FeatureSummary, summaryOf } from '../../models/feature-summary.ts';
import type { Metrics } from '../../models/metrics.ts';
import { type EvaluateProgress, evaluateModel } from '../../pipelines/training/evaluate.ts';
import { backfillRange } from '../../pipelines/training/vectors.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { importHistory } from '../../streams/history/import.ts';
import type { TriedHistory } from './history.ts';
import { type RefusedRows, refusedOf } from './refused.ts';

export interface Values {
  readonly requests: number;
  readonly ids: readonly string[];
  readonly times: readonly number[];
  readonly features: readonly FeatureSummary[];
  readonly cost: {
    readonly events: number;
    readonly entities: number;
    /** Of the state in memory at the end. */
    readonly bytes: number;
    /** Wall time of the pass, ms. */
    readonly ms: number;
  };
  readonly refused: readonly RefusedRows[];
}

export interface TrialDeps {
  readonly warehouse: Warehouse;
  readonly histories: readonly TriedHistory[];
  readonly now: () => number;
  readonly signal: AbortSignal;
}

const MOST_REQUESTS = 20_000;
/** Of the requests, in order of time: the model learns from these and is judged on the rest. */
const TRAINING_SHARE = 0.7;
const LEAST_ROWS = 200;

/** Request times of a model in the histories, in order, epoch ms. */
async function requestTimes(histories: readonly TriedHistory[], model: Model): Promise<Float64Array> {
  const times: number[] = [];
  for (const { source, file } of histories) {
    if (source.name !== model.request.source) continue;
    for await (const { events } of file.read({ from: null, to: null }))
      for (const { type, time } of events) if (type === model.request.eventType) times.push(time);
  }
  return Float64Array.from(times).sort();
}

/** Imports the histories under the project's prefix and reads the model's vectors at its requests, as live would have. */
export async function valuesOf(
  deps: TrialDeps,
  project: Project,
  model: Model,
  { prefix, last }: { readonly prefix: string; readonly last: number },
): Promise<Values> {
  const { warehouse, histories, now, signal } = deps;
  await ensureTables(warehouse, project);
  for (const { source, file } of histories)
    await importHistory({ project, warehouse, source, file, from: null, to: null, now: now(), signal });
  const refused = await refusedOf(warehouse, project, histories);
  const times = await requestTimes(histories, model);
  const [first] = times;
  const end = times.at(-1);
  if (first === undefined || end === undefined)
    return {
      requests: 0,
      ids: [],
      times: [],
      features: [],
      cost: { events: 0, entities: 0, bytes: 0, ms: 0 },
      refused,
    };
  const from = times[Math.max(0, times.length - MOST_REQUESTS)] ?? first;
  const began = now();
  const vectors = await backfillRange({
    project,
    model,
    warehouse,
    from,
    to: end + 1,
    sample: null,
    persist: false,
    signal,
  });
  const { entities, bytes, events } = vectors;
  const shown = model.features.flatMap(({ name }, column) =>
    name.startsWith(prefix) ? [{ name, column }] : [],
  );
  const features = shown.map(({ name, column }) =>
    summaryOf(
      name,
      { rows: vectors.rows, column, width: model.features.length, length: vectors.ids.length },
      last,
    ),
  );
  return {
    requests: times.length,
    ids: vectors.ids.slice(-last),
    times: [...vectors.times.slice(-last)],
    features,
    cost: { events, entities, bytes, ms: now() - began },
    refused,
  };
}

export interface Judged {
  readonly rows: number;
  readonly model: Metrics;
  readonly baseRate: Metrics;
}

/** Trains on the earlier part of the history and judges on the later one; a sentence where that cannot be. */
export async function judge(
  deps: TrialDeps,
  project: Project,
  model: Model,
  settings: { readonly codeVersion: string; readonly progress: (done: EvaluateProgress) => void },
): Promise<Judged | string> {
  const { warehouse, histories, now, signal } = deps;
  if (!histories.some(({ source }) => source.name === model.label.source))
    return `${model.name} learns from ${model.label.source}, and no history of it was given: add --on ${model.label.source}=FILE.`;
  const times = await requestTimes(histories, model);
  const split = times[Math.floor(TRAINING_SHARE * times.length)];
  const first = times[0];
  const end = times.at(-1);
  if (
    times.length < LEAST_ROWS ||
    split === undefined ||
    first === undefined ||
    end === undefined ||
    split <= first
  )
    return `${times.length} requests of ${model.name} are too few to judge it: ${LEAST_ROWS} are needed.`;
  const { test, evaluation } = await evaluateModel({
    project,
    model,
    warehouse,
    histories,
    training: { from: first, to: split },
    test: { from: split, to: end + 1 },
    testRows: null,
    now,
    signal,
    ...settings,
  });
  return { rows: test.rows, model: evaluation.model, baseRate: evaluation.baseRate };
}
