import type { EventRecord } from '../schemas/event.ts';
import type { EventType, Source } from '../schemas/project.ts';
import type { Rejected } from '../schemas/refusal.ts';

export type Validator = (event: EventRecord) => Rejected | null;

const FITS: Record<Source['fields'][number]['type'], (value: unknown) => boolean> = {
  // Half of a surrogate pair has no UTF-8: it would be read back as another text.
  string: (value) => typeof value === 'string' && value.isWellFormed(),
  int: (value) => Number.isSafeInteger(value),
  double: (value) => typeof value === 'number' && Number.isFinite(value),
  bool: (value) => typeof value === 'boolean',
  timestamp: (value) => Number.isSafeInteger(value),
};

/** Checks an event against its source's declaration: known type, required fields, types, rules, in this order. */
export function createValidator(source: Source): Validator {
  const checkShape = createShapeValidator(source);
  const rules = new Map<string, EventType['rules']>(source.events.map((type) => [type.name, type.rules]));

  return function validate(event) {
    const wrong = checkShape(event);
    if (wrong !== null) return wrong;
    for (const rule of rules.get(event.type) ?? [])
      if (rule.passes(event) !== true) return reject('rule_failed', `Rule '${rule.name}': ${rule.message}`);
    return null;
  };
}

/** The same without the rules: whether the source can carry the event at all. */
export function createShapeValidator(source: Source): Validator {
  const types = new Map<string, EventType>(source.events.map((type) => [type.name, type]));
  const names = source.events.map((type) => type.name).join(', ');

  return function validateShape(event) {
    const type = types.get(event.type);
    if (type === undefined)
      return reject(
        'unknown_type',
        `Event type '${event.type}' is not declared in source '${source.name}' (it has ${names}).`,
      );
    if (!FITS.string(event.id))
      return reject(
        'wrong_type',
        `The event's id is ${shown(event.id)}, which holds half of a surrogate pair.`,
      );
    for (const name of type.required)
      if (event[name] === null || event[name] === undefined)
        return reject('missing_field', `Field '${name}' is missing; '${event.type}' requires it.`);
    for (const field of source.fields) {
      const value = event[field.name];
      if (value !== null && value !== undefined && !FITS[field.type](value))
        return reject(
          'wrong_type',
          `Field '${field.name}' is ${shown(value)}, which is not a ${field.type}.`,
        );
    }
    return null;
  };
}

const reject = (code: Rejected['code'], detail: string): Rejected => ({ stage: 'validate', code, detail });

/** JSON, but for the numbers that it writes as null. */
function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
