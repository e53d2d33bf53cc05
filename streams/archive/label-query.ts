import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Field, Model, Project } from '../../schemas/project.ts';

/**
 * Which label belongs to which request. Events are ordered by (time, request before label, id). A label belongs to the
 * last request with its keys before it in this order, so to one request at most; a label before the first request of its
 * keys belongs to none, and so does a label that comes later than `within` after its request. An event with a null key has
 * no label and is none. Which of a request's labels counts is decided in labels.ts, where the expression is evaluated.
 * A request that lacks the key of a read is refused live (`missing_key`), so no model learns from it; it takes its labels all the same,
 * and no earlier request gets them.
 *
 * ```
 * card 7   ──request a──label 1──request b──request c──label 2──label 3──►
 *              a: 1                b: none     c: 2 and 3
 * ```
 */

/** Which past requests. */
export interface Selection {
  /** Event times of the requests, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** Pipeline's event time, epoch ms: labels that had not matured by then are not known yet. */
  readonly asOf: number;
  /** Most rows, chosen by a seeded hash of the request's id; null = all. */
  readonly sample: { readonly maxRows: number; readonly seed: number } | null;
  /** Only requests with the keys of the one of this id, which lies in the selection: a look at one label reads no others. */
  readonly keysOf?: string;
}

/** SQL for where a request stands in a seeded order of all of them: a sample takes the first. */
export const chanceSql = (id: string, seed: number) => `toFloat64(cityHash64(${id}, ${seed}))`;

/** The labels of the selected requests, a row each, in the order of (request's time and id, label's time and id). Every number stands in the text, so that a person can run it. `fields` are those of the label event that its expression looks at. */
export function labelledQuery(
  project: Project,
  model: Model,
  selection: Selection,
  fields: readonly Field[],
): string {
  const { sample } = selection;
  const { within } = model.label;
  const values = fields.map((_, i) => `, _f${i}`).join('');
  const chance = sample === null ? '0.' : chanceSql('_request', sample.seed);
  const labels = [
    `SELECT _request, _request_at, _request_zone, _at, _id${values}, ${chance} AS _chance FROM (`,
    `SELECT _kind, _at, _id${values}, ${lastRequest('_id')} AS _request, ${lastRequest('_at')} AS _request_at,`,
    `${lastRequest('_zone')} AS _request_zone, ${lastRequest('_answerable')} AS _request_answerable FROM (${askedAndTold(project, model, selection, fields)})`,
    `WINDOW asked AS (PARTITION BY ${keys(model)} ORDER BY _at, _kind, _id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`,
    `) WHERE _kind = 1 AND _request_answerable = 1 AND _request_at < ${instant(selection.to)}`,
    ...(within === null ? [] : [`AND _at <= addMilliseconds(_request_at, ${within})`]),
  ].join(' ');
  const sampled =
    sample === null
      ? labels
      : `SELECT * FROM (SELECT *, dense_rank() OVER (ORDER BY _chance, _request) AS _rank FROM (${labels})) WHERE _rank <= ${sample.maxRows}`;
  return [
    `SELECT assumeNotNull(_request) AS id, toFloat64(toUnixTimestamp64Milli(assumeNotNull(_request_at))) AS at,`,
    `assumeNotNull(_request_zone) AS zone, _chance AS chance, toFloat64(toUnixTimestamp64Milli(_at)) AS label_at`,
    `${fields.map((_, i) => `, _f${i} AS f${i}`).join('')} FROM (${sampled})`,
    `ORDER BY _request_at, _request, _at, _id`,
  ].join(' ');
}

/**
 * How many of the selected requests (all, not a sample) were asked again before a label came, while it could still come, and
 * one of them with the request that came next: what comes later belongs to that one.
 */
export function overtakenQuery(project: Project, model: Model, selection: Selection): string {
  const { within } = model.label;
  return [
    `SELECT count() AS requests, argMin(_id, (_at, _id)) AS id, argMin(_next, (_at, _id)) AS next,`,
    `toUnixTimestamp64Milli(min(_at)) AS at, toUnixTimestamp64Milli(argMin(_next_at, (_at, _id))) AS nextAt FROM (`,
    `SELECT _kind, _at, _id, _answerable, leadInFrame(toNullable(_kind)) OVER following AS _next_kind, leadInFrame(_id) OVER following AS _next,`,
    `leadInFrame(_at) OVER following AS _next_at FROM (${askedAndTold(project, model, selection, [])})`,
    `WINDOW following AS (PARTITION BY ${keys(model)} ORDER BY _at, _kind, _id ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)`,
    `) WHERE _kind = 0 AND _answerable = 1 AND _next_kind = 0 AND _next != _id AND _at < ${instant(selection.to)}`,
    ...(within === null ? [] : [`AND _next_at <= addMilliseconds(_at, ${within})`]),
  ].join(' ');
}

/** The keys of one request. */
function keysOfOne(project: Project, { request, label }: Model, { from, to }: Selection, id: string): string {
  return [
    `SELECT ${label.join.map((pair) => quoteName(pair.request)).join(', ')} FROM ${quoteName(tables.events(project.prefix, request.source))} FINAL`,
    `WHERE type = ${quoteText(request.eventType)} AND id = ${quoteText(id)} AND time >= ${instant(from)} AND time < ${instant(to)}`,
  ].join(' ');
}

/** Requests (kind 0) and label events (kind 1) of the stretch that decides: a request after the selection takes labels from those in it. */
function askedAndTold(
  project: Project,
  model: Model,
  selection: Selection,
  fields: readonly Field[],
): string {
  const { request, label } = model;
  const { from, to, asOf } = selection;
  const known = asOf - label.maturity;
  const until = label.within === null ? known : Math.min(known, to + label.within);
  const zone = zoneField(model);
  const named = (side: 'request' | 'label') => label.join.map((pair) => quoteName(pair[side]));
  const one = selection.keysOf === undefined ? null : keysOfOne(project, model, selection, selection.keysOf);
  const part = (side: 'request' | 'label', kind: 0 | 1, columns: readonly string[]) => {
    const { source, eventType } = side === 'request' ? request : label;
    const joined = named(side);
    return [
      `SELECT toUInt8(${kind}) AS _kind, time AS _at, id AS _id, ${columns.join(', ')}`,
      `${joined.map((name, i) => `, assumeNotNull(${name}) AS _k${i}`).join('')}`,
      `FROM ${quoteName(tables.events(project.prefix, source))} FINAL`,
      `WHERE type = ${quoteText(eventType)} AND time >= ${instant(from)} AND time <= ${instant(until)}`,
      ...joined.map((name) => `AND ${name} IS NOT NULL`),
      ...(one === null ? [] : [`AND (${joined.join(', ')}) IN (${one})`]),
    ].join(' ');
  };
  const zoneSql = zone === null ? "''" : `ifNull(${quoteName(zone)}, '')`;
  return [
    part('request', 0, [
      `${answerableSql(model)} AS _answerable`,
      `${zoneSql} AS _zone`,
      ...fields.map((_, i) => `NULL AS _f${i}`),
    ]),
    'UNION ALL',
    part('label', 1, [
      'toUInt8(1) AS _answerable',
      "'' AS _zone",
      ...fields.map((field, i) => `${fieldSql(field)} AS _f${i}`),
    ]),
  ].join(' ');
}

/** Whether a request has the keys of all reads that are not optional: live the others are refused. */
function answerableSql({ reads }: Model): string {
  const needed = reads
    .filter(({ optional }) => !optional)
    .flatMap(({ key, defaults }) => key.filter((field) => !Object.hasOwn(defaults, field)));
  const present = [...new Set(needed)].map((field) => `${quoteName(field)} IS NOT NULL`);
  return `toUInt8(${present.length === 0 ? '1' : present.join(' AND ')})`;
}

const instant = (time: number) => `fromUnixTimestamp64Milli(${Math.trunc(time)}, 'UTC')`;

/** A column of the last request so far; aggregates pass over nulls. */
const lastRequest = (column: string) => `anyLast(if(_kind = 0, ${column}, NULL)) OVER asked`;

/** The hash first: it sorts faster than texts do. */
const keys = ({ label }: Model) => {
  const names = label.join.map((_, i) => `_k${i}`).join(', ');
  return `cityHash64(${names}), ${names}`;
};

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
