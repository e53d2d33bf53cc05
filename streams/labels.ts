import { gather, readBlocks } from '../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { quoteName, quoteText } from '../infrastructure/clickhouse/tables.ts';
import { calendarCell } from '../models/baseline.ts';
import { ZoneClock } from '../processors/zones.ts';
import type { EventRecord, Scalar } from '../schemas/event.ts';
import { tables } from '../schemas/names.ts';
import type { Field, Model, Project, Source } from '../schemas/project.ts';
import { DAY, HOUR } from '../schemas/time.ts';
import type { Selection } from './dataset.ts';

/** Past requests with their matured labels, in the order of (time, id). */
export interface Labelled {
  readonly ids: readonly string[];
  readonly times: Float64Array;
  readonly labels: Uint8Array;
  readonly cells: Int16Array;
}

interface LabelDeps {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
}

/** The join, as a person may run it again: every number stands in it. */
export function labelledQuery(project: Project, model: Model, selection: Selection): string {
  const { request, label } = model;
  const source = sourceOf(project, label.source);
  const instant = (time: number) => `fromUnixTimestamp64Milli(${Math.trunc(time)}, 'UTC')`;
  const requestKeys = label.join.map((pair, i) => `${quoteName(pair.request)} AS k${i}`);
  const labelKeys = label.join.map((pair, i) => `${quoteName(pair.label)} AS k${i}`);
  const keys = label.join.map((_, i) => `k${i}`);
  const zone = zoneField(model);
  const fields = source.fields.map((field, i) => `tupleElement(l.fields, ${i + 1}) AS f${i}`);
  const hash = selection.sample === null ? '' : `cityHash64(r.id, ${selection.sample.seed})`;
  const sampled = selection.sample === null ? '' : ` ORDER BY ${hash}, id LIMIT ${selection.sample.maxRows}`;
  // Of several label events of one request the earliest counts; a tuple, since argMin passes over nulls.
  return [
    `SELECT * FROM (SELECT r.id AS id, toFloat64(toUnixTimestamp64Milli(r.at)) AS at, r.zone AS zone,`,
    `toFloat64(toUnixTimestamp64Milli(l.at)) AS label_at, ${fields.join(', ')} FROM`,
    `(SELECT id, time AS at, ${zone === null ? "''" : `ifNull(${quoteName(zone)}, '')`} AS zone, ${requestKeys.join(', ')}`,
    `FROM ${quoteName(tables.events(project.prefix, request.source))} FINAL`,
    `WHERE type = ${quoteText(request.eventType)} AND time >= ${instant(selection.from)} AND time < ${instant(selection.to)}) AS r`,
    `INNER JOIN (SELECT ${labelKeys.join(', ')}, min(time) AS at,`,
    `argMin(tuple(${source.fields.map(fieldSql).join(', ')}), (time, id)) AS fields`,
    `FROM ${quoteName(tables.events(project.prefix, label.source))} FINAL`,
    `WHERE type = ${quoteText(label.eventType)} AND time >= ${instant(selection.from)} AND time <= ${instant(selection.asOf - label.maturity)}`,
    `GROUP BY ${keys.join(', ')}) AS l`,
    `ON ${keys.map((key) => `r.${key} = l.${key}`).join(' AND ')}${sampled})`,
    `ORDER BY at, id`,
  ].join(' ');
}

/** Runs the join and turns label events into labels; where the expression tells nothing, the request is left out. */
export async function selectLabelled(deps: LabelDeps, selection: Selection): Promise<Labelled> {
  const { project, model, warehouse } = deps;
  const { label } = model;
  const { fields } = sourceOf(project, label.source);
  const bytes = await gather(
    await warehouse.stream(`${labelledQuery(project, model, selection)} FORMAT Native`),
  );
  const cellOf = cells();
  const ids: string[] = [];
  const times: number[] = [];
  const labels: number[] = [];
  const cellsOf: number[] = [];
  for (const { rows, columns } of readBlocks(bytes)) {
    const [id, at, zone, labelAt, ...values] = columns.map((column) => column.values);
    for (let row = 0; row < rows; row += 1) {
      const event: Record<string, Scalar> = {
        id: '',
        type: label.eventType,
        time: Number(labelAt?.[row]),
      };
      for (const [f, field] of fields.entries()) {
        const isNull = columns[4 + f]?.nulls?.[row] === 1;
        const value = values[f]?.[row] ?? null;
        event[field.name] = isNull ? null : field.type === 'bool' ? value === 1 : value;
      }
      const told = label.evaluate(event as EventRecord);
      if (told === null) continue;
      const time = Number(at?.[row]);
      ids.push(String(id?.[row]));
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
  };
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
