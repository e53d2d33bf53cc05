import { DecodeFailure } from './codec.ts';
import type { EventRecord, FieldType, Scalar } from './event.ts';
import type { EventMapping, Source } from './project.ts';

/** How a team's own record, JSON or Avro, becomes an event: by declared dotted paths, and nothing else of it. */

/** A value that does not fit what was declared; `at` is its path. */
class Mismatch extends Error {}

/** Dates that JavaScript can count: 275 thousand years around 1970. */
const MAX_TIME = 8.64e15;

/** Date and time with a zone; a time without one could be anybody's. */
const ISO = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})$/;

type Path = readonly string[];

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return `the ${typeof value} ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`;
}

/** Value at a path; null where any step is absent or null. Looks at own properties only. */
function valueAt(record: unknown, path: Path): unknown {
  let value = record;
  for (const step of path) {
    if (value === null || value === undefined) return null;
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw new Mismatch(
        `${path.join('.')} cannot be read: what should hold '${step}' is ${describe(value)}`,
      );
    }
    value = Object.hasOwn(value, step) ? (value as Record<string, unknown>)[step] : null;
    // avsc wraps the branches of an ambiguous union, such as int and long.
    if (typeof value === 'object' && value !== null && !Object.hasOwn(value, 'unwrap')) {
      const { unwrap } = value as { unwrap?: unknown };
      if (typeof unwrap === 'function') value = unwrap.call(value);
    }
  }
  return value ?? null;
}

function timeOf(value: unknown, unit: 'ms' | 's' | 'iso', name: string): number {
  if (unit === 'iso') {
    const time = typeof value === 'string' && ISO.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isNaN(time)) {
      throw new Mismatch(
        `${name} is ${describe(value)}, not a date and time with its zone (2026-01-31T12:00:00Z)`,
      );
    }
    return time;
  }
  const time = typeof value === 'number' ? Math.round(unit === 's' ? value * 1000 : value) : Number.NaN;
  if (!(Math.abs(time) <= MAX_TIME))
    throw new Mismatch(`${name} is ${describe(value)}, not a time in ${unit}`);
  return time;
}

function fieldOf(value: unknown, type: FieldType, name: string): Scalar {
  if (value === null) return null;
  if (type === 'timestamp') return timeOf(value, typeof value === 'string' ? 'iso' : 'ms', name);
  const fits =
    type === 'string'
      ? typeof value === 'string'
      : type === 'bool'
        ? typeof value === 'boolean'
        : type === 'int'
          ? Number.isSafeInteger(value)
          : Number.isFinite(value);
  if (!fits) throw new Mismatch(`${name} is ${describe(value)}, not ${type === 'int' ? 'an' : 'a'} ${type}`);
  return value as Scalar;
}

export type EventMapper = (record: unknown) => EventRecord | DecodeFailure;

/**
 * Compiles a mapping for its source. Throws TypeError where the mapping itself is no good (the loader has checked
 * it). Refusals: `bad_envelope` for id, type and time, `bad_envelope` too for a field of the wrong type, since the
 * record is not what the mapping says it is.
 */
export function createEventMapper(source: Source, mapping: EventMapping): EventMapper {
  const pathOf = (text: string): Path => {
    const steps = text.split('.');
    if (steps.some((step) => step === '' || step === '__proto__')) {
      throw new TypeError(`the mapping of ${source.name} has a path '${text}' that names nothing`);
    }
    return steps;
  };
  const idPath = pathOf(mapping.id);
  const constantType = 'constant' in mapping.type ? mapping.type.constant : null;
  const typePath = 'path' in mapping.type ? pathOf(mapping.type.path) : [];
  const timePath = pathOf(mapping.time.path);
  const unit = mapping.time.unit;
  const fields = source.fields.map((field) => {
    const text = Object.hasOwn(mapping.fields, field.name) ? mapping.fields[field.name] : undefined;
    return { ...field, path: text === undefined ? null : pathOf(text) };
  });

  return function mapEvent(record) {
    try {
      if (record === null || typeof record !== 'object' || Array.isArray(record)) {
        throw new Mismatch(`the record is ${describe(record)}, not an object`);
      }
      const rawId = valueAt(record, idPath);
      const id = Number.isSafeInteger(rawId) ? String(rawId) : rawId;
      if (typeof id !== 'string' || id === '') {
        throw new Mismatch(
          `the event's id, at ${mapping.id}, is ${describe(rawId)}, not a text or a whole number`,
        );
      }
      const type = constantType ?? valueAt(record, typePath);
      if (typeof type !== 'string' || type === '') {
        throw new Mismatch(`the event's type, at ${typePath.join('.')}, is ${describe(type)}, not a text`);
      }
      const time = timeOf(valueAt(record, timePath), unit, `the event's time, at ${mapping.time.path},`);
      const event: Record<string, Scalar> = { id, type, time };
      for (const field of fields) {
        event[field.name] =
          field.path === null
            ? null
            : fieldOf(valueAt(record, field.path), field.type, `the field ${field.name}`);
      }
      return event as EventRecord;
    } catch (error) {
      if (error instanceof Mismatch) return new DecodeFailure('bad_envelope', error.message);
      throw error;
    }
  };
}
