import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/contribute.ts';
import { createValidator } from '../../processors/validate.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Prediction } from '../../schemas/records.ts';
import { DAY, HOUR } from '../../schemas/time.ts';
import { backfillVectors } from '../../streams/backfill-vectors.ts';
import { startFor } from '../../streams/past.ts';
import { modelReads } from '../../streams/vector.ts';
import { oracleRead } from '../oracle/naive.ts';
import { seeded } from '../simulation/random.ts';
import { testStack } from '../stack.ts';
import { Flights, openFlightsFile } from './flights.ts';

const WANTED = 2_000;
const START = Date.UTC(2001, 2, 23);
/** Eight hours from noon in Europe to the evening rush in America: some 15,000 events. */
const range = { from: START, to: START + 16 * HOUR };

describe('live, backfilled and naively computed features of real flights', () => {
  let flights: Flights;
  let file: HistoryFile;
  let predictions: readonly Prediction[];
  let requests: Map<string, EventRecord>;

  beforeAll(async () => {
    const stack = await testStack();
    file = await openFlightsFile();
    flights = new Flights(stack);
    await flights.createTopics();
    await flights.createTables();
    await flights.backfill(file, START);
    await flights.start(['ingest', 'features', 'inference', 'archive']);
    await flights.replay(file, range);
    const outcome = await flights.outcome();
    predictions = outcome.predictions;
    requests = new Map(outcome.accepted.map(({ event }) => [event.id, event]));
    await flights.archived(outcome.accepted.length);
  }, 300_000);

  afterAll(() => flights?.remove());

  it('answers every departure from its full head', () => {
    const departures = [...requests.values()].filter(({ type }) => type === 'flight.departed');
    expect(predictions.length).toBe(departures.length);
    for (const { reads, requestId } of predictions) {
      expect(reads.length, requestId).toBe(flights.model.reads.length);
      for (const { head, asOf } of reads) expect(asOf).toBe(head);
    }
  });

  it('gives the same bits live and backfilled', { timeout: 120_000 }, async () => {
    const wanted = new Map(predictions.map(({ requestId }, i) => [requestId, i]));
    const width = flights.model.features.length;
    const rows = new Float64Array(predictions.length * width).fill(Number.NaN);
    const { project, model } = flights;
    await backfillVectors({ project, model, warehouse: flights.platform.warehouse, wanted, ...range, rows });
    const different: string[] = [];
    for (const [i, { vector, requestId }] of predictions.entries())
      for (const [j, value] of vector.entries())
        if (!Object.is(value, rows[i * width + j]))
          different.push(
            `${requestId} ${model.features[j]?.name}: live ${value}, backfilled ${rows[i * width + j]}`,
          );
    expect(different.slice(0, 10)).toEqual([]);
  });

  it(`agrees with the naive oracle for ${WANTED} random departures`, { timeout: 180_000 }, async () => {
    const { project, model, source } = flights;
    const { reads, width } = modelReads(project, model);
    const validate = createValidator(source);
    const byEntity = reads.map(() => new Map<string, EventRecord[]>());
    for await (const { events } of file.read({ from: startFor(project.views, START) - DAY, to: range.to }))
      for (const event of events) {
        if (validate(event) !== null) continue;
        for (const [i, { view }] of reads.entries()) {
          const entity = entityKey(event, view.entity);
          if (entity === null) continue;
          const known = byEntity[i]?.get(entity);
          if (known === undefined) byEntity[i]?.set(entity, [event]);
          else known.push(event);
        }
      }
    const assemble = assembler(
      model,
      reads.map(({ declared, view, offset }) => ({ name: declared.name, view, offset })),
    );
    const random = seeded(20010323);
    const chosen = [...predictions].sort(() => random() - 0.5).slice(0, WANTED);
    expect(chosen.length).toBe(WANTED);
    const wrong: string[] = [];
    for (const { requestId, vector, reads: readings } of chosen) {
      const request = requests.get(requestId);
      if (request === undefined) throw new Error(`no event ${requestId}`);
      const stored = new Float64Array(width);
      for (const [i, { declared, view, offset }] of reads.entries()) {
        const events = byEntity[i]?.get(entityKey(request, declared.key) ?? '') ?? [];
        const zone = declared.zone === null ? null : String(request[declared.zone]);
        const edge = { asOf: readings[i]?.asOf ?? Number.NaN, sketchAsOf: Number.NaN };
        const seen = events.map((event) => ({ event, source: source.name }));
        stored.set(oracleRead(view, seen, { time: request.time, zone }, edge), offset);
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
    expect(wrong.slice(0, 10)).toEqual([]);
  });
});
