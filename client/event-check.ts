import { createShapeValidator } from '../processors/validate.ts';
import type { Scalar } from '../schemas/event.ts';
import type { Source } from '../schemas/project.ts';
import { createSamePlaceCheck } from '../schemas/same-place.ts';
import { isTime, looksLikeSeconds, notATime } from '../schemas/time-unit.ts';

/**
 * Why the records of a source cannot carry an event, in a sentence, or null: what is sent is then read as what it was. Whether the
 * source's rules take it is left to ingest, which keeps what it refuses.
 */
export function createEventCheck(
  source: Source,
): (event: { readonly [field: string]: Scalar | undefined }) => string | null {
  const checkShape = createShapeValidator(source);
  const checkPlaces = createSamePlaceCheck(source);
  const known = new Set(['id', 'type', 'time', ...source.fields.map(({ name }) => name)]);
  const times = source.fields.filter(({ type }) => type === 'timestamp').map(({ name }) => name);
  const { format } = source;
  const mapping = format.kind === 'avro' ? null : format.mapping;
  /** Written as milliseconds, seconds of our days are told from a time of early 1970 by nobody. */
  const counted = mapping === null || mapping.time.unit === 'ms';

  return function checkEvent(event) {
    const { id, type, time } = event;
    for (const field in event) if (!known.has(field)) return `the source has no field '${field}'.`;
    if (typeof id !== 'string' || id === '' || !id.isWellFormed())
      return `its id is ${shown(id)}, which is no text, or an empty one.`;
    if (
      typeof time !== 'number' ||
      !Number.isInteger(time) ||
      !isTime(time) ||
      (counted && looksLikeSeconds(time))
    )
      return `its time is ${shown(time)}, ${typeof time === 'number' && Number.isInteger(time) ? notATime(time, 'ms') : 'which is no whole number of milliseconds since 1970'}.`;
    if (typeof type !== 'string') return `its type is ${shown(type)}, which is no text.`;
    if (mapping !== null && 'constant' in mapping.type && type !== mapping.type.constant)
      return `its type is '${type}', but all records of the source are of type '${mapping.type.constant}'.`;
    const wrong = checkShape({ ...event, id, type, time } as Parameters<typeof checkShape>[0]);
    if (wrong !== null) return wrong.detail;
    for (const name of times) {
      const value = event[name];
      if (typeof value === 'number' && !isTime(value))
        return `Field '${name}' is ${value}, ${notATime(value, 'ms')}.`;
    }
    const twice = checkPlaces(event);
    if (twice !== null) return twice;
    const key = event[source.key];
    if (key === null || key === undefined)
      return `it has no '${source.key}', which keys the events of the source.`;
    return null;
  };
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
