import { loadProject } from '../../../config/load.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { readEvents } from '../../../infrastructure/clickhouse/read-events.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { inMemory } from '../../../infrastructure/readers/events.ts';
import { openFlights } from '../../../infrastructure/readers/flights.ts';
import type { HistoryFile } from '../../../infrastructure/readers/port.ts';
import { entityKey } from '../../../processors/entity-key.ts';
import { asOf } from '../../../processors/read.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import type { Model, Project, Source } from '../../../schemas/project.ts';
import { DAY } from '../../../schemas/time.ts';
import type { View } from '../../../schemas/view.ts';
import { type ImportReport, importHistory } from '../../../streams/history/import.ts';
import { type OracleEvent, oracleRead } from '../../oracle/naive.ts';

/** The flights project with some days of real history in the in-process warehouse. */
export interface FlightsArchive {
  readonly project: Project;
  readonly model: Model;
  readonly source: Source;
  readonly file: HistoryFile;
  readonly warehouse: MemoryWarehouse;
  readonly imported: ImportReport;
}

export const first = <T>(list: readonly T[]): T => {
  const [one] = list;
  if (one === undefined) throw new Error('the fixture expects at least one');
  return one;
};

/** Enough airports for routes with several flights a day, few enough for a test. */
const AIRPORTS = new Set(['ORD', 'ATL', 'DFW', 'LAX', 'LGA', 'DCA', 'PHX', 'DEN']);
/** The one departure at a local time that the clocks jumped over. */
const SKIPPED = '2001-04-01T02:10';

/** The flights among a few airports, as a file of its own. */
async function someFlights(from: number, to: number): Promise<HistoryFile> {
  const all = await openFlights();
  const events: EventRecord[] = [];
  for await (const batch of all.read({ from, to }))
    for (const event of batch.events)
      if (
        (AIRPORTS.has(String(event.origin)) && AIRPORTS.has(String(event.destination))) ||
        event.local_time === SKIPPED
      )
        events.push(event);
  return inMemory('some flights', 'a'.repeat(64), events, true);
}

export async function flightsArchive(from: number, to: number): Promise<FlightsArchive> {
  const project = loadProject('config', { environment: {}, prefix: 'history-test' });
  const source = first(project.sources);
  const warehouse = await createMemoryWarehouse();
  await ensureTables(warehouse, project);
  const file = await someFlights(from, to + DAY);
  const imported = await importHistory({ project, warehouse, source, file, from, to, now: 1_000 });
  return { project, model: first(project.models), source, file, warehouse, imported };
}

/** All stored features of a model's requests, by the oracle: event by event, without tiles. */
export async function createOracle({ project, model, source, warehouse }: FlightsArchive) {
  const events: EventRecord[] = [];
  for await (const batch of readEvents(warehouse, project, source, { from: null, to: null }))
    events.push(...batch.events);
  const indexes = new Map<readonly EventRecord[], ReadonlyMap<string, OracleEvent[]>>();
  const byEntity = (of: readonly EventRecord[]) => {
    const known = indexes.get(of);
    if (known !== undefined) return known;
    const index = new Map<string, OracleEvent[]>();
    for (const view of project.views)
      for (const event of of) {
        const key = `${view.name} ${entityKey(event, view.entity)}`;
        const list = index.get(key);
        if (list === undefined) index.set(key, [{ source: source.name, event }]);
        else list.push({ source: source.name, event });
      }
    indexes.set(of, index);
    return index;
  };
  const viewOf = (name: string): View => {
    const view = project.views.find((one) => one.name === name);
    if (view === undefined) throw new Error(`no view ${name}`);
    return view;
  };
  return {
    events,
    /** Values by `read.feature`, of these events. */
    vector(request: EventRecord, of: readonly EventRecord[] = events): Map<string, number> {
      const values = new Map<string, number>();
      for (const read of model.reads) {
        const view = viewOf(read.view);
        const zone = read.zone === null ? null : String(request[read.zone]);
        const edge = asOf(view, request.time, Number.POSITIVE_INFINITY);
        const own = byEntity(of).get(`${view.name} ${entityKey(request, read.key)}`) ?? [];
        const row = oracleRead(view, own, { time: request.time, zone }, edge);
        for (const [i, feature] of view.features.entries())
          values.set(`${read.name}.${feature.name}`, row[i] ?? Number.NaN);
      }
      return values;
    },
  };
}

/** Equal to 1e-9 relative; null (NaN) equals only null. */
export function close(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
}
