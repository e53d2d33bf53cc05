import { expect } from 'vitest';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { HistoryBatch, HistoryFile, HistoryRange } from '../../infrastructure/readers/port.ts';
import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { createValidator } from '../../processors/validate.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { DAY } from '../../schemas/time.ts';
import { backfillVectors } from '../../streams/history/backfill-vectors.ts';
import { startFor } from '../../streams/history/past.ts';
import { modelReads } from '../../streams/inference/vector.ts';
import { type OracleEvent, oracleRead } from '../oracle/naive.ts';
import { seeded } from '../simulation/random.ts';

/** What inference logged of a stretch of history, and what it can be compared with. */
export interface Logged {
  readonly project: Project;
  readonly model: Model;
  readonly source: Source;
  /** Holds what was imported and what was replayed. */
  readonly warehouse: Warehouse;
  /** Everything that happened: the same events as the warehouse's. */
  readonly file: HistoryFile;
  /** The stretch that was replayed, event time, epoch ms. */
  readonly range: { readonly from: number; readonly to: number };
  readonly predictions: readonly Prediction[];
  /** Accepted events by id. */
  readonly accepted: ReadonlyMap<string, EventRecord>;
}

/** Each accepted request is answered once, and from its full head. */
export function expectFullHeads({ model, predictions, accepted }: Logged): void {
  const requests = [...accepted.values()].filter(({ type }) => type === model.request.eventType);
  expect(requests.length).toBeGreaterThan(0);
  expect(predictions.length).toBe(requests.length);
  for (const { reads, requestId, reason } of predictions) {
    expect(reads.length, `${requestId} ${reason}`).toBe(model.reads.length);
    for (const { head, asOf } of reads) expect(asOf, requestId).toBe(head);
  }
}

/** The first logged values that a backfill does not give again, bit for bit, each in a sentence. */
export async function unlikeBackfill(logged: Logged): Promise<string[]> {
  const { project, model, warehouse, range, predictions } = logged;
  const wanted = new Map(predictions.map(({ requestId }, i) => [requestId, i]));
  const width = model.features.length;
  const rows = new Float64Array(predictions.length * width).fill(Number.NaN);
  await backfillVectors({ project, model, warehouse, wanted, ...range, rows });
  const different: string[] = [];
  for (const [i, { vector, requestId }] of predictions.entries()) {
    if (vector.length !== width) different.push(`${requestId}: ${vector.length} live values`);
    for (const [j, value] of vector.entries())
      if (!Object.is(value, rows[i * width + j]))
        different.push(
          `${requestId} ${model.features[j]?.name}: live ${value}, backfilled ${rows[i * width + j]}`,
        );
  }
  return different.slice(0, 10);
}

/** The same against the naive oracle, which filters raw events and knows no tiles, to 1e-9, for `count` random requests. */
export async function unlikeOracle(logged: Logged, count: number): Promise<string[]> {
  const { project, model, predictions, accepted } = logged;
  const { reads, width } = modelReads(project, model);
  const byEntity = await eventsByEntity(logged);
  const assemble = assembler(model, reads);
  const random = seeded(20010323);
  const chosen = predictions
    .map((prediction) => ({ prediction, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ prediction }) => prediction);
  expect(chosen.length).toBe(Math.min(count, predictions.length));
  const wrong: string[] = [];
  for (const { requestId, vector, reads: readings } of chosen) {
    const request = accepted.get(requestId);
    if (request === undefined) throw new Error(`no event ${requestId}`);
    const stored = new Float64Array(width);
    for (const [i, { declared, view, offset }] of reads.entries()) {
      const events = byEntity[i]?.get(entityKey(request, declared.key) ?? '') ?? [];
      const zone = declared.zone === null ? null : String(request[declared.zone]);
      const edge = { asOf: readings[i]?.asOf ?? Number.NaN, sketchAsOf: Number.NaN };
      stored.set(oracleRead(view, events, { time: request.time, zone }, edge), offset);
    }
    const truth = assemble(stored, request);
    for (const [j, value] of vector.entries()) {
      const want = truth[j] ?? Number.NaN;
      const close = Number.isNaN(want)
        ? Number.isNaN(value)
        : Math.abs(value - want) <= 1e-9 * Math.max(1, Math.abs(want));
      if (!close) wrong.push(`${requestId} ${model.features[j]?.name}: ${value}, the oracle says ${want}`);
    }
  }
  return wrong.slice(0, 10);
}

/** Valid events of the file that any read may reach: for each of the model's reads, by entity. */
async function eventsByEntity(logged: Logged): Promise<Array<Map<string, OracleEvent[]>>> {
  const { project, model, source, file, range } = logged;
  const { reads } = modelReads(project, model);
  const validate = createValidator(source);
  const byEntity = reads.map(() => new Map<string, OracleEvent[]>());
  for await (const { events } of file.read({
    from: startFor(project.views, range.from) - DAY,
    to: range.to,
  }))
    for (const event of events) {
      if (validate(event) !== null) continue;
      const seen: OracleEvent = { event, source: source.name };
      for (const [i, { view }] of reads.entries()) {
        const entity = entityKey(event, view.entity);
        if (entity === null) continue;
        const known = byEntity[i]?.get(entity);
        if (known === undefined) byEntity[i]?.set(entity, [seen]);
        else known.push(seen);
      }
    }
  return byEntity;
}

/** A file in which nothing happened from `from` to `to`, event time, epoch ms. */
export function withQuiet(
  file: HistoryFile,
  quiet: { readonly from: number; readonly to: number },
): HistoryFile {
  return withOnly(file, ({ time }) => time < quiet.from || time >= quiet.to);
}

/** A file of only those events. Its counts are those of the whole one. */
export function withOnly(file: HistoryFile, keeps: (event: EventRecord) => boolean): HistoryFile {
  return {
    ...file,
    count: (range) => file.count(range),
    async *read(range: HistoryRange) {
      for await (const batch of file.read(range)) {
        const kept = batch.events.flatMap((event, i) => (keeps(event) ? [i] : []));
        const left: HistoryBatch = {
          events: kept.map((i) => batch.events[i] as EventRecord),
          places: Float64Array.from(kept, (i) => batch.places[i] ?? Number.NaN),
          rows: Float64Array.from(kept, (i) => batch.rows[i] ?? Number.NaN),
        };
        if (kept.length > 0) yield left;
      }
    },
  };
}
