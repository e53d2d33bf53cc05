import type { ArtefactStore } from '../../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';

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
  readonly features: ReadonlyArray<{ readonly name: string; readonly value: number | null }>;
  readonly reads: ReadonlyArray<{
    readonly read: string;
    readonly view: string;
    readonly entity: string;
    readonly head: number;
    readonly asOf: number;
    readonly ageMs: number;
  }>;
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
  /** The SQL that shows the record with each feature in a column of its name. */
  readonly sql: string;
}

export class UnknownPrediction extends MillraceError {
  readonly code = 'unknown_prediction';
  readonly retriable = false;
}

interface Row {
  readonly id: string;
  readonly request_id: string;
  readonly request_time: number;
  readonly status: 'scored' | 'refused';
  readonly reason: string;
  readonly model_version: number;
  readonly artefact: string;
  readonly score: number | null;
  readonly decision: boolean | null;
  readonly layout: string;
  /** Bits of the doubles, since text could lose the last one. */
  readonly vector: readonly string[];
  readonly score_bits: string | null;
  readonly reads: ReadonlyArray<readonly [string, string, string, number, number, number]>;
  readonly source_topic: string;
  readonly source_partition: number;
  readonly source_offset: number;
  readonly total_ms: number;
  readonly wait_ms: number;
  readonly read_ms: number;
  readonly score_ms: number;
}

export interface ExplainDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  readonly artefacts: Pick<ArtefactStore, 'get'>;
}

/** `id` is that of a prediction, of its request, or of a shadow score of it. Throws UnknownPrediction. */
export async function explain(deps: ExplainDeps, id: string): Promise<Explanation> {
  const { project, model, warehouse, artefacts } = deps;
  const shadowed = /:v\d+$/.test(id) && id.slice(0, id.lastIndexOf(':')).endsWith(`:${model.name}`);
  const table = (shadowed ? tables.shadow : tables.predictions)(project.prefix, model.name);
  const predictionId = shadowed || id.endsWith(`:${model.name}`) ? id : `${id}:${model.name}`;
  const [row] = await warehouse.query<Row>(
    `SELECT id, request_id, toUnixTimestamp64Milli(request_time) AS request_time, status, reason, model_version, artefact,
       score, decision, layout, arrayMap(x -> hex(reinterpretAsUInt64(x)), vector) AS vector,
       if(score IS NULL, NULL, hex(reinterpretAsUInt64(assumeNotNull(score)))) AS score_bits,
       arrayMap(r -> (r.read, r.view, r.entity, toUnixTimestamp64Milli(r.head), toUnixTimestamp64Milli(r.as_of), r.age_ms), reads) AS reads,
       source_topic, source_partition, source_offset,
       toUnixTimestamp64Milli(append_time) - toUnixTimestamp64Milli(raw_append_time) AS total_ms, wait_ms, read_ms, score_ms
     FROM ${quoteName(table)} FINAL WHERE id = {id:String} LIMIT 1`,
    { id: predictionId },
  );
  if (row === undefined)
    throw new UnknownPrediction(
      `There is no prediction ${predictionId} in ${table}: is the id right, and has the archive caught up?`,
    );
  const beside = await warehouse.query<{ id: string; version: number; score: number | null; reason: string }>(
    `SELECT id, model_version AS version, score, reason FROM ${quoteName(tables.shadow(project.prefix, model.name))} FINAL
     WHERE request_time = fromUnixTimestamp64Milli({time:Int64}) AND request_id = {request:String} ORDER BY version`,
    { time: row.request_time, request: row.request_id },
  );
  const vector = Float64Array.from(row.vector, doubleOf);
  let recomputed: number | null = null;
  let threshold: number | null = null;
  let names = model.features.map(({ name }) => name);
  if (row.artefact !== '') {
    const artefact = parseArtefact(await artefacts.get(row.artefact), row.artefact);
    names = [...artefact.manifest.features];
    threshold = artefact.manifest.threshold;
    if (row.status === 'scored') recomputed = createScorer(artefact, row.layout).score(vector);
  }
  const published = row.score_bits === null ? null : doubleOf(row.score_bits);
  return {
    id: row.id,
    requestId: row.request_id,
    requestTime: row.request_time,
    model: model.name,
    modelVersion: row.model_version,
    artefact: row.artefact,
    status: row.status,
    reason: row.reason === '' ? null : row.reason,
    score: published,
    decision: row.decision,
    threshold,
    recomputed,
    same: published === null || recomputed === null ? null : Object.is(published, recomputed),
    features: Array.from(vector, (value, i) => ({
      name: names[i] ?? `#${i}`,
      value: Number.isNaN(value) ? null : value,
    })),
    reads: row.reads.map(([read, view, entity, head, asOf, ageMs]) => ({
      read,
      view,
      entity,
      head,
      asOf,
      ageMs,
    })),
    source: { topic: row.source_topic, partition: row.source_partition, offset: row.source_offset },
    ms: { gate: row.wait_ms, read: row.read_ms, score: row.score_ms, total: row.total_ms },
    beside: beside.map((one) => ({ ...one, reason: one.reason === '' ? null : one.reason })),
    sql: `SELECT * FROM ${table}${shadowed ? '' : '_features'} WHERE id = '${row.id.replaceAll("'", "\\'")}'`,
  };
}

/** From 16 hex digits, most significant first. */
function doubleOf(hex: string): number {
  return Buffer.from(hex.padStart(16, '0'), 'hex').readDoubleBE(0);
}
