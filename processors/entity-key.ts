import { createHash } from 'node:crypto';
import type { EventRecord } from '../schemas/event.ts';
import type { ViewRead } from '../schemas/project.ts';

/**
 * The key of an entity: different values make different keys, whatever characters they hold.
 *
 *   one field         the value as text
 *   several fields    their texts, joined by `|`
 *   ... one of which is empty or holds `|`      `|3:a|b0:` for `a|b` and the empty text: lengths and texts
 *   longer than 1,024 UTF-16 units              `|sha256:` and the digest, so that no key is a burden
 */
const SEPARATOR = '|';
const LONGEST = 1_024;

const NO_DEFAULTS: ViewRead['defaults'] = {};

/** The key of an event for the named fields, or null where one of them is null. `defaults` stand for fields that are null. */
export function entityKey(
  event: EventRecord,
  fields: readonly string[],
  defaults: ViewRead['defaults'] = NO_DEFAULTS,
): string | null {
  const first = partOf(event, fields[0] as string, defaults);
  if (first === null || fields.length === 1) return first === null ? null : bounded(first);
  const parts = [first];
  for (let i = 1; i < fields.length; i += 1) {
    const part = partOf(event, fields[i] as string, defaults);
    if (part === null) return null;
    parts.push(part);
  }
  return keyOfParts(parts);
}

/** The key that the texts of an entity's fields make, in order. */
export function keyOfParts(parts: readonly string[]): string {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return bounded(only);
  const plain = parts.every((part) => part !== '' && !part.includes(SEPARATOR));
  return bounded(
    plain ? parts.join(SEPARATOR) : SEPARATOR + parts.map((part) => `${part.length}:${part}`).join(''),
  );
}

function partOf(event: EventRecord, field: string, defaults: ViewRead['defaults']): string | null {
  const value = event[field] ?? (Object.hasOwn(defaults, field) ? defaults[field] : null);
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : String(value);
}

function bounded(key: string): string {
  if (key.length <= LONGEST) return key;
  return `${SEPARATOR}sha256:${createHash('sha256').update(key).digest('hex')}`;
}
