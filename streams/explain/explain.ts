import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { type Contributions, contributionsOf } from '../../models/contributions.ts';
import { createScorer } from '../../models/scorer.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { doubleOf, type PredictionRow, readBeside, readPrediction } from './prediction-row.ts';

/** One prediction as it was published, and its score computed once more from its own vector. Times are epoch ms. */
export interface Explanation {
  readonly id: string;
  readonly requestId: string;
  readonly requestTime: number;
  readonly model: string;
  readonly modelVersion: number;
  readonly artefact: string;
  readonly status: 'scored' | 'refused';
  readonly reason: string | null;
  readonly score: number | null;
  readonly decision: boolean | null;
  readonly threshold: number | null;
  /** Computed now, by the artefact that the record names. */
  readonly recomputed: number | null;
  /** Whether it is the same to the last bit; null where there was no score. */
  readonly same: boolean | null;
  /** By feature, in the order of the vector; null where empty. */
  readonly features: ReadonlyArray<{
    readonly name: string;
    readonly value: number | null;
    /** What it adds to the log odds; null where nobody can say. */
    readonly contribution: number | null;
  }>;
  /** What the contributions are, and what they and `base` add up to, log odds before calibration. */
  readonly contributions: Pick<Contributions, 'method' | 'base' | 'logit'> | null;
  readonly reads: ReadonlyArray<{
    readonly read: string;
    readonly view: string;
    readonly entity: string;
    readonly head: number;
    readonly asOf: number;
    readonly ageMs: number;
  }>;
  /** Reads whose features are null whatever their events. */
  readonly absent: ReadonlyArray<{ readonly read: string; readonly reason: string }>;
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number };
  readonly ms: {
    readonly gate: number;
    readonly read: number;
    readonly score: number;
    /** From the broker's stamp on the raw event to its stamp on the prediction. */
    readonly total: number;
  };
  /** What other versions scored beside it, in the shadow, from the same vector; by version. */
  readonly beside: ReadonlyArray<{
    readonly id: string;
    readonly version: number;
    readonly score: number | null;
    readonly reason: string | null;
  }>;
  /** What came of the request; null where its label has not come. */
  readonly outcome: Outcome | null;
  /** The SQL that shows the record with each feature in a column of its name. */
  readonly sql: string;
}

export interface ExplainDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  readonly artefacts: Pick<ArtefactStore, 'get'>;
}

/** `id` is that of a prediction, of its request, or of a shadow score of it. Throws UnknownPrediction. */
export async function explain(deps: ExplainDeps, id: string): Promise<Explanation> {
  const { project, model, warehouse } = deps;
  const { row, sql } = await readPrediction(warehouse, project.prefix, model.name, id);
  const outcome = await outcomeOf(deps, { id: row.request_id, time: row.request_time });
  const beside = await readBeside(warehouse, project.prefix, model.name, row);
  const vector = Float64Array.from(row.vector, doubleOf);
  const { names, threshold, recomputed, contributions } = await recompute(deps, row, vector);
  const score = row.score_bits === null ? null : doubleOf(row.score_bits);
  return {
    id: row.id,
    requestId: row.request_id,
    requestTime: row.request_time,
    model: model.name,
    modelVersion: row.model_version,
    artefact: row.artefact,
    status: row.status,
    reason: row.reason === '' ? null : row.reason,
    score,
    decision: row.decision,
    threshold,
    recomputed,
    same: score === null || recomputed === null ? null : Object.is(score, recomputed),
    features: Array.from(vector, (value, i) => ({
      name: names[i] ?? `#${i}`,
      value: Number.isNaN(value) ? null : value,
      contribution: contributions?.values[i] ?? null,
    })),
    contributions:
      contributions === null
        ? null
        : { method: contributions.method, base: contributions.base, logit: contributions.logit },
    reads: row.reads.map(([read, view, entity, head, asOf, ageMs]) => ({
      read,
      view,
      entity,
      head,
      asOf,
      ageMs,
    })),
    absent: row.absent.map(([read, reason]) => ({ read, reason })),
    source: { topic: row.source_topic, partition: row.source_partition, offset: row.source_offset },
    ms: { gate: row.wait_ms, read: row.read_ms, score: row.score_ms, total: row.total_ms },
    beside,
    outcome,
    sql,
  };
}

/** Scores a vector once more, by the artefact that its record names. Feature names are the artefact's; without one, the model's. */
async function recompute(
  { artefacts, model }: ExplainDeps,
  row: PredictionRow,
  vector: Float64Array,
): Promise<{
  readonly names: readonly string[];
  readonly threshold: number | null;
  readonly recomputed: number | null;
  readonly contributions: Contributions | null;
}> {
  const none = { recomputed: null, contributions: null };
  if (row.artefact === '') return { ...none, names: model.features.map(({ name }) => name), threshold: null };
  const artefact = parseArtefact(await artefacts.get(row.artefact), row.artefact);
  const { features, threshold } = artefact.manifest;
  const answered = { names: features, threshold };
  if (row.status !== 'scored') return { ...none, ...answered };
  const recomputed = createScorer(artefact, row.layout).score(vector);
  return { ...answered, recomputed, contributions: contributionsOf(artefact.body, vector) };
}
