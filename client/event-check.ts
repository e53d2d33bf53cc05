import { createShapeValidator } from '../processors/validate.ts';
import type { Scalar } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';

/** First and last instant that ISO 8601 writes with a year of four digits, epoch ms. */
const FIRST_ISO = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_ISO = Date.parse('9999-12-31T23:59:59.999Z');
/** Dates that JavaScript can count. */
const MAX_TIME = 8.64e15;

/**
 * Why the records of a source cannot carry an event, in a sentence, or null: what is sent is then read as what it was. Whether the
 * source's rules take it is left to ingest, which keeps what it refuses.
 */
export function createEventCheck(
  source: Source,
): (event: { readonly [field: string]: Scalar | undefined }) => string | null {
  const checkShape = createShapeValidator(source);
  const known = new Set(['id', 'type', 'time', ...source.fields.map(({ name }) => name)]);
  const times = source.fields.filter(({ type }) => type === 'timestamp').map(({ name }) => name);
  const { format } = source;
  const mapping = format.kind === 'avro' ? null : format.mapping;
  const [first, last] = mapping?.time.unit === 'iso' ? [FIRST_ISO, LAST_ISO] : [-MAX_TIME, MAX_TIME];

  return function checkEvent(event) {
    const { id, type, time } = event;
    for (const field in event) if (!known.has(field)) return `the source has no field '${field}'.`;
    if (typeof id !== 'string' || id === '' || !id.isWellFormed())
      return `its id is ${shown(id)}, which is no text, or an empty one.`;
    if (typeof time !== 'number' || !Number.isInteger(time) || time < first || time > last)
      return `its time is ${shown(time)}, which is no whole number of milliseconds since 1970 that its records can hold.`;
    if (typeof type !== 'string') return `its type is ${shown(type)}, which is no text.`;
    if (mapping !== null && 'constant' in mapping.type && type !== mapping.type.constant)
      return `its type is '${type}', but all records of the source are of type '${mapping.type.constant}'.`;
    const wrong = checkShape({ ...event, id, type, time } as Parameters<typeof checkShape>[0]);
    if (wrong !== null) return wrong.detail;
    for (const name of times) {
      const value = event[name];
      if (typeof value === 'number' && Math.abs(value) > MAX_TIME)
        return `Field '${name}' is ${value}, which is no time that can be counted in milliseconds.`;
    }
    const key = event[source.key];
    if (key === null || key === undefined)
      return `it has no '${source.key}', which keys the events of the source.`;
    return null;
  };
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
