import type { TimeUnit } from './avro.ts';
import { DecodeFailure } from './codec.ts';
import { type Envelope, envelopeValue, isOfEnvelope, stepsOf } from './envelope.ts';
import type { EventRecord, FieldType, Scalar } from './event.ts';
import type { EventMapping, Source } from './project.ts';
import { type CountedUnit, isTime, looksLikeSeconds, notATime, toMs } from './time-unit.ts';

/** How a team's own record, JSON or Avro, becomes an event: by declared dotted paths, and nothing else of it. */

/** A value that does not fit what was declared; `at` is its path. */
class Mismatch extends Error {}

/** A number of the record is larger than numbers of JSON are read exactly: the record must be read with its digits. */
class NeedsDigits extends Error {}

/** A number beyond the safe integers, as it was written, and the nearest double. */
export class ExactNumber {
  readonly text: string;
  readonly value: number;

  constructor(text: string, value: number) {
    this.text = text;
    this.value = value;
  }

  /** Null where it was not written as a whole number. */
  get whole(): bigint | null {
    return /^-?\d+$/.test(this.text) ? BigInt(this.text) : null;
  }

  /** Whether the double is what was written: the same whole number, or the shortest text of this double, as JSON's writers write it. */
  get isDouble(): boolean {
    const { text, value, whole } = this;
    return Number.isFinite(value) && (whole === null || BigInt(value) === whole || String(value) === text);
  }
}

/** Added to -0 it makes 0: whole numbers are stored without the sign, and a condition must see at once what it would read back. */
const NO_SIGN = 0;

/** Date and time with a zone; a time without one could be anybody's. */
const ISO = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})$/;

type Path = readonly string[];

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Uint8Array) return 'bytes instead of text in UTF-8';
  if (value instanceof ExactNumber && !Number.isFinite(value.value))
    return `the number ${clip(value.text)}, which is beyond the largest double`;
  if (value instanceof ExactNumber)
    return `the number ${clip(value.text)}, which is beyond the whole numbers that are kept exactly (±${Number.MAX_SAFE_INTEGER})`;
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return `the ${typeof value} ${clip(text)}`;
}

const clip = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}...` : text);

/** Value at a path; null where any step is absent or null. Looks at own properties only. */
function valueAt(record: unknown, path: Path): unknown {
  let value = record;
  for (const step of path) {
    if (value === null || value === undefined) return null;
    if (typeof value !== 'object' || Array.isArray(value) || value instanceof ExactNumber) {
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

/** Date.parse takes 30 February for 2 March. */
function isDay(day: string): boolean {
  const time = Date.parse(`${day}T00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

function timeOf(value: unknown, unit: CountedUnit | 'iso', name: string): number {
  if (unit === 'iso') {
    const real = typeof value === 'string' && ISO.test(value) && isDay(value.slice(0, 10));
    const time = real ? Date.parse(value) : Number.NaN;
    if (Number.isNaN(time)) {
      throw new Mismatch(
        `${name} is ${describe(value)}, not a date and time with its zone (2026-01-31T12:00:00Z)`,
      );
    }
    return time;
  }
  const count = value instanceof ExactNumber ? (value.whole ?? value.value) : value;
  if (typeof count !== 'number' && typeof count !== 'bigint')
    throw new Mismatch(`${name} is ${describe(value)}, not a time in ${unit}`);
  const time = toMs(count, unit);
  if (!isTime(time)) throw new Mismatch(`${name} is ${count}, ${notATime(count, unit)}`);
  return time + NO_SIGN;
}

/** An event's own time; one that a sender of seconds gave as milliseconds is told. */
function eventTimeOf(value: unknown, unit: CountedUnit | 'iso', name: string): number {
  const time = timeOf(value, unit, name);
  if (unit === 'ms' && looksLikeSeconds(time))
    throw new Mismatch(`${name} is ${time}, ${notATime(time, unit)}`);
  return time;
}

function fieldOf(value: unknown, type: FieldType, unit: CountedUnit, name: string): Scalar {
  if (value === null) return null;
  if (type === 'timestamp') return timeOf(value, typeof value === 'string' ? 'iso' : unit, name);
  if (type === 'double' && value instanceof ExactNumber && value.isDouble) return value.value;
  const fits =
    type === 'string'
      ? typeof value === 'string'
      : type === 'bool'
        ? typeof value === 'boolean'
        : type === 'int'
          ? Number.isSafeInteger(value)
          : Number.isFinite(value);
  if (!fits) throw new Mismatch(`${name} is ${describe(value)}, not ${type === 'int' ? 'an' : 'a'} ${type}`);
  return type === 'int' ? (value as number) + NO_SIGN : (value as Scalar);
}

/** What a text of an envelope says where a number or a condition is wanted; the text itself where it says none. */
function valueOfText(value: unknown, type: FieldType): unknown {
  if (typeof value !== 'string') return value;
  if (type === 'bool') return value === 'true' ? true : value === 'false' ? false : value;
  return type !== 'string' && /^-?\d{1,300}(\.\d{1,300})?$/.test(value) ? Number(value) : value;
}

/**
 * `withDigits` reads the same record once more, with an ExactNumber for each number that is no safe one. `envelope` is what
 * the record says beside its value.
 */
export type EventMapper = (
  record: unknown,
  withDigits?: () => unknown,
  envelope?: Envelope,
) => EventRecord | DecodeFailure;

/**
 * Compiles a mapping for its source. Throws TypeError where the mapping itself is no good (the loader has checked
 * it). Refusals: `bad_envelope` for id, type and time, `bad_envelope` too for a field of the wrong type, since the
 * record is not what the mapping says it is. `unitAt` says what the schema of the records counts times in.
 */
export function createEventMapper(
  source: Source,
  mapping: EventMapping,
  unitAt: (path: readonly string[]) => TimeUnit | null = () => null,
): EventMapper {
  const pathOf = (text: string): Path => {
    const steps = stepsOf(text);
    if (steps.some((step) => step === '' || step === '__proto__')) {
      throw new TypeError(`the mapping of ${source.name} has a path '${text}' that names nothing`);
    }
    return steps;
  };
  const idPath = pathOf(mapping.id);
  const constantType = 'constant' in mapping.type ? mapping.type.constant : null;
  const typePath = 'path' in mapping.type ? pathOf(mapping.type.path) : [];
  const timePath = pathOf(mapping.time.path);
  const unit = unitAt(timePath) ?? mapping.time.unit;
  const fields = source.fields.map((field) => {
    const text = Object.hasOwn(mapping.fields, field.name) ? mapping.fields[field.name] : undefined;
    const path = text === undefined ? null : pathOf(text);
    return { ...field, path, unit: (path === null ? null : unitAt(path)) ?? 'ms' };
  });

  return function mapEvent(record, withDigits, envelope) {
    const at = (path: Path, type: FieldType = 'string'): unknown => {
      if (isOfEnvelope(path))
        return valueOfText(
          envelope === undefined ? valueAt(record, path) : envelopeValue(envelope, path),
          type,
        );
      const value = valueAt(record, path);
      if (typeof value === 'bigint') return new ExactNumber(String(value), Number(value));
      if (
        withDigits !== undefined &&
        typeof value === 'number' &&
        !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)
      )
        throw new NeedsDigits();
      return value;
    };
    try {
      if (record === null || typeof record !== 'object' || Array.isArray(record)) {
        throw new Mismatch(`the record is ${describe(record)}, not an object`);
      }
      const rawId = at(idPath);
      const id = Number.isSafeInteger(rawId) ? String(rawId) : rawId;
      if (typeof id !== 'string' || id === '') {
        throw new Mismatch(
          `the event's id, at ${mapping.id}, is ${describe(rawId)}, not a text or a whole number`,
        );
      }
      const type = constantType ?? at(typePath);
      if (typeof type !== 'string' || type === '') {
        throw new Mismatch(`the event's type, at ${typePath.join('.')}, is ${describe(type)}, not a text`);
      }
      const time = eventTimeOf(
        at(timePath, unit === 'iso' ? 'string' : 'timestamp'),
        unit,
        `the event's time, at ${mapping.time.path},`,
      );
      const event: Record<string, Scalar> = { id, type, time };
      for (const field of fields) {
        event[field.name] =
          field.path === null
            ? null
            : fieldOf(at(field.path, field.type), field.type, field.unit, `the field ${field.name}`);
      }
      return event as EventRecord;
    } catch (error) {
      if (error instanceof NeedsDigits) return mapEvent(withDigits?.(), undefined, envelope);
      if (error instanceof Mismatch) return new DecodeFailure('bad_envelope', error.message);
      throw error;
    }
  };
}
