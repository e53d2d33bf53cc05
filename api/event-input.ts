import { randomUUID } from 'node:crypto';
import type { EventRecord, Scalar } from '../schemas/event.ts';
import type { Field, Source } from '../schemas/project.ts';
import { createSamePlaceCheck, fieldsAtOwnPlaces } from '../schemas/same-place.ts';
import { parseTime } from './schemas.ts';

/** Why something sent is no event of its source. */
export interface EventFault {
  readonly code:
    | 'not_an_object'
    | 'unknown_field'
    | 'wrong_type'
    | 'missing_key'
    | 'differs'
    | 'bad_id'
    | 'bad_type'
    | 'bad_time';
  readonly detail: string;
}

export type EventInput = { readonly event: EventRecord } | { readonly fault: EventFault };

interface Usual {
  /** Event type where the input names none; null: it must. */
  readonly type: string | null;
  /** Time where the input has none, epoch ms. */
  readonly now: number;
}

const fault = (code: EventFault['code'], detail: string): EventInput => ({ fault: { code, detail } });

const MOST_ID_LETTERS = 500;

/**
 * Reads events of a source from the JSON of a request: `id`, `type`, `time` and the declared fields side by side. Times may be ISO
 * 8601. What is left out: `id`, `type` and `time` are those of a field that is read from their place of a record, and the other way round; else
 * `id` is drawn, `time` is now, `type` the only one of the source, fields are null.
 */
export function createEventReader(source: Source): (input: unknown, usual: Usual) => EventInput {
  const checkPlaces = createSamePlaceCheck(source);
  const ownPlaces = fieldsAtOwnPlaces(source);
  const fields = new Map<string, Field>(source.fields.map((field) => [field.name, field]));
  const [onlyType, otherType] = source.events;
  const type = otherType === undefined ? (onlyType?.name ?? null) : null;
  const names = source.events.map(({ name }) => name).join(', ');
  return (input, usual) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input))
      return fault(
        'not_an_object',
        'An event is a JSON object: id, type, time and the fields of its source.',
      );
    const given = withOwnOf(input as Given, ownPlaces);
    const named = given.type ?? usual.type ?? type;
    if (typeof named !== 'string')
      return fault('bad_type', `Field 'type' is missing or no text; ${source.name} has ${names}.`);
    const id = given.id ?? randomUUID();
    if (typeof id !== 'string' || id === '' || id.length > MOST_ID_LETTERS || !id.isWellFormed())
      return fault('bad_id', `Field 'id' is no text of 1 to ${MOST_ID_LETTERS} letters.`);
    const time = given.time === undefined || given.time === null ? usual.now : parseTime(given.time);
    if (time === null)
      return fault(
        'bad_time',
        "Field 'time' is no time: write epoch milliseconds, or ISO 8601 with a zone (2026-01-31T12:00:00Z).",
      );
    const event: Record<string, Scalar> & { id: string; type: string; time: number } = {
      id,
      type: named,
      time,
    };
    for (const { name } of source.fields) event[name] = null;
    for (const name of Object.keys(given)) {
      if (name === 'id' || name === 'type' || name === 'time') continue;
      const field = fields.get(name);
      if (field === undefined)
        return fault(
          'unknown_field',
          `${source.name} has no field '${name}'; it has ${[...fields.keys()].join(', ')}, beside id, type and time.`,
        );
      const value = scalarOf(given[name], field);
      if (value === undefined)
        return fault('wrong_type', `Field '${name}' is ${shown(given[name])}, which is not a ${field.type}.`);
      event[name] = value;
    }
    for (const [own, name] of ownPlaces) {
      if (event[name] !== null) continue;
      const value = valueAt(event[own], fields.get(name));
      if (value === undefined)
        return fault('bad_id', `The ${own} of this event is its field '${name}', a number: give '${name}'.`);
      event[name] = value;
    }
    const twice = checkPlaces(event);
    return twice === null ? { event } : fault('differs', `Field ${twice}`);
  };
}

type Given = Readonly<Record<string, unknown>>;

/** What was given, with the id, the type and the time that only a field of the same place of a record tells. */
function withOwnOf(given: Given, ownPlaces: ReturnType<typeof fieldsAtOwnPlaces>): Given {
  if (ownPlaces.length === 0) return given;
  const filled: Record<string, unknown> = { ...given };
  for (const [own, field] of ownPlaces)
    filled[own] ??= own === 'id' && typeof given[field] === 'number' ? String(given[field]) : given[field];
  return filled;
}

/** What a field holds whose place in a record is that of the id, the type or the time. Undefined where it cannot. */
function valueAt(own: Scalar | undefined, field: Field | undefined): Scalar | undefined {
  if (own === undefined || own === null || field === undefined) return undefined;
  const isNumber = field.type === 'int' || field.type === 'double';
  return scalarOf(typeof own === 'string' && isNumber ? Number(own) : own, field);
}

/** Undefined where it does not fit. */
function scalarOf(value: unknown, { type }: Field): Scalar | undefined {
  if (value === null) return null;
  if (type === 'timestamp') return parseTime(value) ?? undefined;
  const fits =
    type === 'string'
      ? typeof value === 'string'
      : type === 'bool'
        ? typeof value === 'boolean'
        : type === 'int'
          ? Number.isSafeInteger(value)
          : Number.isFinite(value);
  return fits ? (value as Scalar) : undefined;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
