import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { assembler } from '../../processors/assemble.ts';
import { keyOfParts } from '../../processors/entity-key.ts';
import type { EventRecord, Scalar } from '../../schemas/event.ts';
import type { Model, Source } from '../../schemas/project.ts';
import { fieldsAtOwnPlaces } from '../../schemas/same-place.ts';
import type { View } from '../../schemas/view.ts';
import { type PastRow, readPointInTime, rowOfRequest } from '../../streams/history/point-in-time.ts';
import { modelReads } from '../../streams/inference/vector.ts';
import type { ApiDeps } from '../deps.ts';
import { createEventReader } from '../event-input.ts';
import { Problem } from '../problem.ts';
import type { Work } from './jobs.ts';
import { type AddedColumn, cellKey, cellOf, cellTime, type Table, writeTable } from './table.ts';

/** Values that a job holds in memory: rows times features. */
const MAX_CELLS = 10_000_000;

function mustFit(rows: number, width: number): void {
  if (rows * width > MAX_CELLS)
    throw new Problem(
      422,
      'too_many_cells',
      `${rows} rows of ${width} features are more than ${MAX_CELLS} values: send the table in parts, or name fewer views.`,
    );
}

/** A user's own table, and the views whose features it wants. */
export interface HistoryRequest {
  readonly table: Table;
  readonly views: readonly View[];
  readonly timeColumn: string;
  /** Column with an IANA zone; null = UTC. */
  readonly zoneColumn: string | null;
}

interface JoinPlan {
  readonly rows: readonly PastRow[];
  readonly names: readonly string[];
  readonly width: number;
}

/** What the join of a table reads. Throws Problem for the first row that cannot be read. */
export function planHistory({ table, views, timeColumn, zoneColumn }: HistoryRequest): JoinPlan {
  const missing = [
    timeColumn,
    ...(zoneColumn === null ? [] : [zoneColumn]),
    ...views.flatMap(({ entity }) => entity),
  ].find((name) => !table.columns.includes(name));
  if (missing !== undefined)
    throw new Problem(
      422,
      'missing_column',
      `The table has no column '${missing}'; it has ${table.columns.join(', ')}.`,
    );
  const names = views.flatMap((view) => view.features.map(({ name }) => `${view.name}.${name}`));
  const taken = names.find((name) => table.columns.includes(name));
  if (taken !== undefined)
    throw new Problem(422, 'taken_column', `The table has a column '${taken}' already, which the join adds.`);
  mustFit(table.rows.length, names.length);
  const rows = table.rows.map((row, i): PastRow => {
    const time = cellTime(row[timeColumn]);
    if (time === null)
      throw new Problem(
        422,
        'bad_time',
        `Row ${i + 1}: '${timeColumn}' is ${JSON.stringify(row[timeColumn] ?? null)}, which is no time: write epoch milliseconds, or ISO 8601 with a zone.`,
      );
    const zone = zoneColumn === null ? null : cellKey(row[zoneColumn]);
    return { time, entities: views.map((view) => entityOf(view, row)), zones: views.map(() => zone) };
  });
  return { rows, names, width: names.length };
}

function entityOf(view: View, row: Readonly<Record<string, unknown>>): string | null {
  const parts = view.entity.map((field) => cellKey(row[field]));
  return parts.every((part) => part !== null) ? keyOfParts(parts) : null;
}

const numberOrNull = (value: number) => (Number.isNaN(value) ? null : value);

/** The features of each row as they were at its time, beside its own columns. */
export async function runHistory(
  { project, warehouse }: Pick<ApiDeps, 'project' | 'warehouse'>,
  request: HistoryRequest,
  work: Work,
): Promise<void> {
  const { table, views } = request;
  const { rows, names, width } = planHistory(request);
  const values = new Float64Array(rows.length * width);
  let offset = 0;
  const reads = views.map((view) => {
    const read = { view, offset };
    offset += view.features.length;
    return read;
  });
  const events = await readPointInTime(
    {
      project,
      warehouse,
      reads,
      width,
      rows,
      signal: work.signal,
      onProgress: (done) => work.progress(`read ${done.events} events`, done.rows, rows.length),
    },
    (row, read) => values.set(read, row * width),
  );
  work.progress(`writes, after ${events} events`, rows.length, rows.length);
  const added = names.map((name): AddedColumn => ({ name, kind: 'DOUBLE' }));
  await writeTable(
    table,
    added,
    (row) => Array.from(values.subarray(row * width, (row + 1) * width), numberOrNull),
    work.write,
  );
}

/** Requests of a model, as rows of a table. */
export interface ScoringRequest {
  readonly table: Table;
  readonly model: Model;
  readonly source: Source;
  /** Null: the champion's. */
  readonly version: number | null;
}

type ScoringDeps = Pick<ApiDeps, 'project' | 'warehouse' | 'clock' | 'kafka' | 'codecs' | 'artefacts'>;

/** Throws Problem for the first row that is no request of the model. */
export function readRequests({ table, model, source }: ScoringRequest, now: number): EventRecord[] {
  const types = new Map(source.fields.map(({ name, type }) => [name, type]));
  const known = new Set(['id', 'type', 'time', ...types.keys()]);
  const read = createEventReader(source);
  mustHold(table, model, source);
  mustFit(table.rows.length, model.features.length);
  return table.rows.map((row, i) => {
    const given = Object.fromEntries(
      Object.entries(row).flatMap(([name, value]) => {
        if (!known.has(name)) return [];
        const type = types.get(name);
        return [
          [
            name,
            name === 'time' ? (cellTime(value) ?? value) : type === undefined ? value : cellOf(value, type),
          ],
        ];
      }),
    );
    const one = read(given, { type: model.request.eventType, now });
    if ('fault' in one) throw new Problem(422, one.fault.code, `Row ${i + 1}: ${one.fault.detail}`);
    if (one.event.type !== model.request.eventType)
      throw new Problem(
        422,
        'wrong_event',
        `Row ${i + 1}: ${model.name} answers ${model.request.eventType}.`,
      );
    return one.event;
  });
}

/** A table whose columns cannot be those of requests would be scored all the same, without what is missing. */
function mustHold({ columns }: Table, { name, request }: Model, source: Source): void {
  const taken = SCORE_COLUMNS.find((one) => columns.includes(one.name));
  if (taken !== undefined)
    throw new Problem(
      422,
      'taken_column',
      `The table has a column '${taken.name}' already, which scoring adds: leave it out, or name it otherwise.`,
    );
  const elsewhere = fieldsAtOwnPlaces(source).flatMap(([own, field]) =>
    columns.includes(own) ? [field] : [],
  );
  const required = source.events.find((one) => one.name === request.eventType)?.required ?? [];
  const missing = required.find((field) => !columns.includes(field) && !elsewhere.includes(field));
  if (missing !== undefined)
    throw new Problem(
      422,
      'missing_column',
      `The table has no column '${missing}', which the requests of ${name} must have; it has ${columns.join(', ')}.`,
    );
}

/** Columns that scoring adds. */
const SCORE_COLUMNS: readonly AddedColumn[] = [
  { name: 'score', kind: 'DOUBLE' },
  { name: 'decision', kind: 'BOOLEAN' },
  { name: 'model_version', kind: 'INT32' },
  { name: 'reason', kind: 'STRING' },
];

/** Scores a table of requests from the features as they were at the time of each. */
export async function runScoring(deps: ScoringDeps, request: ScoringRequest, work: Work): Promise<void> {
  const { project, warehouse, clock } = deps;
  const { table, model } = request;
  const events = readRequests(request, clock.now());
  const { version, scorer } = await scorerOf(deps, request);
  const { reads, width } = modelReads(project, model);
  const assemble = assembler(model, reads);
  const rows = events.map((event) => rowOfRequest(reads, event, event.time));
  const scores = new Float64Array(rows.length).fill(Number.NaN);
  await readPointInTime(
    {
      project,
      warehouse,
      reads,
      width,
      rows,
      signal: work.signal,
      onProgress: (done) => work.progress(`read ${done.events} events`, done.rows, rows.length),
    },
    (row, stored) => {
      const event = events[row];
      const lacks = reads.some(({ declared }, i) => !declared.optional && rows[row]?.entities[i] === null);
      if (event === undefined || lacks) return;
      scores[row] = scorer.score(assemble(stored, event));
    },
  );
  const valuesOf = (row: number): Scalar[] => {
    const score = scores[row] ?? Number.NaN;
    return Number.isNaN(score)
      ? [null, null, version, 'missing_key']
      : [score, score >= scorer.threshold, version, null];
  };
  await writeTable(table, SCORE_COLUMNS, valuesOf, work.write);
}

async function scorerOf(
  { project, kafka, codecs, artefacts }: ScoringDeps,
  { model, version }: ScoringRequest,
) {
  const registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
  const history = await registry.history(model.name);
  const found = version === null ? history.champion : history.versions.find((one) => one.version === version);
  if (found === undefined || found === null)
    throw new Problem(
      409,
      'no_model',
      version === null ? `${model.name} has no champion yet.` : `${model.name} has no version ${version}.`,
    );
  const artefact = parseArtefact(await artefacts.get(found.artefact), found.artefact);
  return { version: found.version, scorer: createScorer(artefact, model.layoutHash) };
}
