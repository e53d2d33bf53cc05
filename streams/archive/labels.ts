import { gather, readBlocks } from '../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { calendarCell } from '../../models/baseline.ts';
import { zoneClock } from '../../processors/zones.ts';
import type { EventRecord, Scalar } from '../../schemas/event.ts';
import type { Field, Model, Project, Source } from '../../schemas/project.ts';
import { DAY, HOUR } from '../../schemas/time.ts';
import { labelledQuery, overtakenQuery, type Selection } from './label-query.ts';

/** Past requests with their matured labels, in the order of (time, id). */
export interface Labelled {
  readonly ids: readonly string[];
  readonly times: Float64Array;
  readonly labels: Uint8Array;
  /** Event times of the label events that counted, epoch ms. */
  readonly labelTimes: Float64Array;
  readonly cells: Int16Array;
  /** Of a sample: the largest `chanceSql` of a request in it, so that other tables can be asked for these alone; null = all. */
  readonly chance: number | null;
  /** Requests left out because the expression is null for every label event that they have. */
  readonly untold: number;
}

interface LabelDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
}

/**
 * Joins label events to requests (label-query.ts says which belongs to which) and turns them into labels: of those that belong
 * to a request the first that tells something counts, or with `which: last` the last one.
 */
export async function selectLabelled(
  deps: LabelDeps,
  selection: Selection,
): Promise<Labelled & { readonly query: string }> {
  const { project, model, warehouse } = deps;
  const source = sourceOf(project, model.label.source);
  // What the expression looks at shows when it is asked; a branch taken later may ask for more.
  const asked = new Set<string>();
  askedFields(model, source, asked);
  for (;;) {
    const before = asked.size;
    const fields = [...source.fields, ID].filter(({ name }) => asked.has(name));
    const query = labelledQuery(project, model, selection, fields);
    const bytes = await retrying(async () => gather(await warehouse.stream(`${query} FORMAT Native`)));
    const { chance, ...labelled } = labelsOf(model, bytes, fields, recorder(source, asked));
    if (asked.size === before)
      return { ...labelled, chance: selection.sample === null ? null : chance, query };
  }
}

/** Requests that stay without a label because their keys were asked again before one came, and one of them. */
export interface Overtaken {
  readonly requests: number;
  readonly example: {
    readonly id: string;
    /** Event times, epoch ms. */
    readonly at: number;
    readonly next: string;
    readonly nextAt: number;
  } | null;
}

export async function countOvertaken(deps: LabelDeps, selection: Selection): Promise<Overtaken> {
  const { project, model, warehouse } = deps;
  const sql = overtakenQuery(project, model, selection);
  const [row] = await retrying(() =>
    warehouse.query<NonNullable<Overtaken['example']> & { requests: number }>(sql),
  );
  if (row === undefined || row.requests === 0) return { requests: 0, example: null };
  const { requests, ...example } = row;
  return { requests, example };
}

const ID: Field = { name: 'id', type: 'string' };

/** Rows are in the order of (request's time and id, label's time and id). */
function labelsOf(
  model: Model,
  bytes: Uint8Array,
  fields: readonly Field[],
  unread: object,
): Labelled & { readonly chance: number } {
  const place = new Map<string, number>();
  const all = {
    times: [] as number[],
    labels: [] as number[],
    labelTimes: [] as number[],
    cells: [] as number[],
  };
  const untold = new Set<string>();
  let most = 0;
  for (const { rows, columns } of readBlocks(bytes)) {
    const [id, at, zone, chance, labelAt, ...values] = columns.map((column) => column.values);
    for (let row = 0; row < rows; row += 1) {
      const requestId = String(id?.[row]);
      const time = Number(at?.[row]);
      const known = place.get(requestId);
      // An id that was asked twice is one request, the earlier one.
      if (known !== undefined && (model.label.which === 'first' || all.times[known] !== time)) continue;
      const event = Object.create(unread) as Record<string, Scalar>;
      event.type = model.label.eventType;
      event.time = Number(labelAt?.[row]);
      for (const [f, { name, type }] of fields.entries()) {
        const stored = columns[5 + f]?.nulls?.[row] === 1 ? null : (values[f]?.[row] ?? null);
        const value = type === 'bool' && stored !== null ? stored === 1 : stored;
        Object.defineProperty(event, name, { value, enumerable: true });
      }
      const label = model.label.evaluate(event as EventRecord);
      if (label === null) {
        if (known === undefined) untold.add(requestId);
        continue;
      }
      const to = known ?? place.size;
      all.labels[to] = label ? 1 : 0;
      all.labelTimes[to] = event.time;
      if (known !== undefined) continue;
      untold.delete(requestId);
      place.set(requestId, to);
      most = Math.max(most, Number(chance?.[row]));
      all.times.push(time);
      all.cells.push(cellOf(time, String(zone?.[row])));
    }
  }
  return {
    ids: [...place.keys()],
    times: Float64Array.from(all.times),
    labels: Uint8Array.from(all.labels),
    labelTimes: Float64Array.from(all.labelTimes),
    cells: Int16Array.from(all.cells),
    chance: most,
    untold: untold.size,
  };
}

/** An object that writes down which declared fields are asked of it, and answers null. */
function recorder(source: Source, asked: Set<string>): object {
  const names = [...source.fields.map(({ name }) => name), 'id'];
  return Object.create(
    null,
    Object.fromEntries(
      names.map((name) => [
        name,
        {
          get() {
            asked.add(name);
            return null;
          },
        },
      ]),
    ),
  ) as object;
}

function askedFields({ label }: Model, source: Source, asked: Set<string>): void {
  const event = Object.create(recorder(source, asked)) as Record<string, Scalar>;
  event.type = label.eventType;
  event.time = 0;
  label.evaluate(event as EventRecord);
}

function sourceOf(project: Project, name: string): Source {
  const source = project.sources.find((candidate) => candidate.name === name);
  if (source === undefined) throw new Error(`project ${project.name} has no source ${name}`);
  return source;
}

/** Calendar cell of a moment on a zone's clock (UTC where the zone is empty or unknown). */
function cellOf(time: number, zone: string): number {
  const clock = zone === '' ? null : zoneClock(zone);
  const local = time + (clock?.offset(time) ?? 0);
  const day = Math.floor(local / DAY);
  // 1970-01-01 was a Thursday, 4 days after a Sunday.
  return calendarCell((local - day * DAY) / HOUR, (((day + 4) % 7) + 7) % 7);
}
