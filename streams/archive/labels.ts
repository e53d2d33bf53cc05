import { gather, readBlocks } from '../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import { calendarCell } from '../../models/baseline.ts';
import { ZoneClock } from '../../processors/zones.ts';
import type { EventRecord, Scalar } from '../../schemas/event.ts';
import { tables } from '../../schemas/names.ts';
import type { Field, Model, Project, Source } from '../../schemas/project.ts';
import { DAY, HOUR } from '../../schemas/time.ts';

/** Which past requests. */
export interface Selection {
  /** Event times of the requests, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** Pipeline's event time, epoch ms: labels that had not matured by then are not known yet. */
  readonly asOf: number;
  /** Most rows, chosen by a seeded hash of the request's id; null = all. */
  readonly sample: { readonly maxRows: number; readonly seed: number } | null;
  /** Label events before this are left out, epoch ms: for who asks often, and of young requests; default: none. */
  readonly labelsFrom?: number;
}

/** Past requests with their matured labels, in the order of (time, id). */
export interface Labelled {
  readonly ids: readonly string[];
  readonly times: Float64Array;
  readonly labels: Uint8Array;
  readonly cells: Int16Array;
  /** Of a sample: the largest `chanceSql` of a request in it, so that other tables can be asked for these alone; null = all. */
  readonly chance: number | null;
}

/** SQL for where a request stands in a seeded order of all of them: a sample takes the first. */
export const chanceSql = (id: string, seed: number) => `toFloat64(cityHash64(${id}, ${seed}))`;

interface LabelDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
}

/**
 * The join, as a person may run it again: every number stands in it. `fields` are those of the label event
 * that its expression looks at. A request with several label events has several rows, the earliest first.
 */
export function labelledQuery(
  project: Project,
  model: Model,
  selection: Selection,
  fields: readonly Field[],
): string {
  const { request, label } = model;
  const instant = (time: number) => `fromUnixTimestamp64Milli(${Math.trunc(time)}, 'UTC')`;
  const requestKeys = label.join.map((pair, i) => `${quoteName(pair.request)} AS k${i}`);
  const labelKeys = label.join.map((pair, i) => `${quoteName(pair.label)} AS k${i}`);
  const on = label.join.map((_, i) => `r.k${i} = l.k${i}`);
  const zone = zoneField(model);
  const { sample, labelsFrom } = selection;
  const since = labelsFrom === undefined ? '' : ` AND time >= ${instant(labelsFrom)}`;
  const sampled =
    sample === null ? '' : ` ORDER BY cityHash64(r.id, ${sample.seed}), r.id LIMIT ${sample.maxRows}`;
  return [
    `SELECT * FROM (SELECT r.id AS id, toFloat64(toUnixTimestamp64Milli(r.at)) AS at, r.zone AS zone,`,
    `${sample === null ? '0.' : chanceSql('r.id', sample.seed)} AS chance,`,
    `toFloat64(toUnixTimestamp64Milli(l.at)) AS label_at${fields.map((_, i) => `, l.f${i} AS f${i}`).join('')} FROM`,
    `(SELECT id, time AS at, ${zone === null ? "''" : `ifNull(${quoteName(zone)}, '')`} AS zone, ${requestKeys.join(', ')}`,
    `FROM ${quoteName(tables.events(project.prefix, request.source))} FINAL`,
    `WHERE type = ${quoteText(request.eventType)} AND time >= ${instant(selection.from)} AND time < ${instant(selection.to)}) AS r`,
    `INNER JOIN (SELECT time AS at, ${[...labelKeys, ...fields.map((field, i) => `${fieldSql(field)} AS f${i}`)].join(', ')}`,
    `FROM ${quoteName(tables.events(project.prefix, label.source))} FINAL`,
    `WHERE type = ${quoteText(label.eventType)} AND time <= ${instant(selection.asOf - label.maturity)}${since}) AS l`,
    `ON ${on.join(' AND ')}${sampled}) ORDER BY at, id, label_at`,
  ].join(' ');
}

/** Runs the join and turns label events into labels; where the expression tells nothing, the request is left out. */
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
    const fields = source.fields.filter(({ name }) => asked.has(name));
    const query = labelledQuery(project, model, selection, fields);
    const bytes = await retrying(async () => gather(await warehouse.stream(`${query} FORMAT Native`)));
    const { chance, ...labelled } = labelsOf(model, bytes, fields, recorder(source, asked));
    if (asked.size === before)
      return { ...labelled, chance: selection.sample === null ? null : chance, query };
  }
}

function labelsOf(
  model: Model,
  bytes: Uint8Array,
  fields: readonly Field[],
  unread: object,
): Labelled & { readonly chance: number } {
  const cellOf = cells();
  const ids: string[] = [];
  const times: number[] = [];
  const labels: number[] = [];
  const cellsOf: number[] = [];
  let last = '';
  let most = 0;
  for (const { rows, columns } of readBlocks(bytes)) {
    const [id, at, zone, chance, labelAt, ...values] = columns.map((column) => column.values);
    for (let row = 0; row < rows; row += 1) {
      const requestId = String(id?.[row]);
      if (requestId === last) continue;
      last = requestId;
      const event = Object.create(unread) as Record<string, Scalar>;
      event.type = model.label.eventType;
      event.time = Number(labelAt?.[row]);
      for (const [f, field] of fields.entries()) {
        const isNull = columns[5 + f]?.nulls?.[row] === 1;
        const value = values[f]?.[row] ?? null;
        Object.defineProperty(event, field.name, {
          value: isNull ? null : field.type === 'bool' ? value === 1 : value,
          enumerable: true,
        });
      }
      const told = model.label.evaluate(event as EventRecord);
      if (told === null) continue;
      const time = Number(at?.[row]);
      most = Math.max(most, Number(chance?.[row]));
      ids.push(requestId);
      times.push(time);
      labels.push(told ? 1 : 0);
      cellsOf.push(cellOf(time, String(zone?.[row])));
    }
  }
  return {
    ids,
    times: Float64Array.from(times),
    labels: Uint8Array.from(labels),
    cells: Int16Array.from(cellsOf),
    chance: most,
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

/** A type that the Native reader knows, times and integers as Float64. */
function fieldSql({ name, type }: Field): string {
  const quoted = quoteName(name);
  if (type === 'timestamp') return `toFloat64(toUnixTimestamp64Milli(${quoted}))`;
  return type === 'int' ? `toFloat64(${quoted})` : quoted;
}

/** The request's zone, if one of the model's reads names it: the calendar baseline looks at the same clock. */
function zoneField(model: Model): string | null {
  return model.reads.find(({ zone }) => zone !== null)?.zone ?? null;
}

function sourceOf(project: Project, name: string): Source {
  const source = project.sources.find((candidate) => candidate.name === name);
  if (source === undefined) throw new Error(`project ${project.name} has no source ${name}`);
  return source;
}

/** Calendar cell of a moment on a zone's clock (UTC where the zone is empty or unknown). */
function cells(): (time: number, zone: string) => number {
  const clocks = new Map<string, ZoneClock | null>();
  const clockOf = (zone: string): ZoneClock | null => {
    try {
      return new ZoneClock(zone);
    } catch {
      return null;
    }
  };
  return function cellOf(time, zone) {
    let clock = clocks.get(zone);
    if (clock === undefined) {
      clock = zone === '' ? null : clockOf(zone);
      clocks.set(zone, clock);
    }
    const local = time + (clock?.offset(time) ?? 0);
    const day = Math.floor(local / DAY);
    // 1970-01-01 was a Thursday, 4 days after a Sunday.
    return calendarCell((local - day * DAY) / HOUR, (((day + 4) % 7) + 7) % 7);
  };
}
