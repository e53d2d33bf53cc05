import { keyOfParts } from '../processors/entity-key.ts';
import type { FieldType } from '../schemas/event.ts';
import type { Project } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';
import { UsageError } from './errors.ts';

/**
 * The fields of an entity as a command is given them: `field=value` each, or one JSON object, which takes any character
 * (`{"card": "a\u0000b"}`).
 */
export function readKey(parts: readonly string[]): ReadonlyMap<string, string> {
  const [only = ''] = parts;
  if (parts.length === 1 && only.trimStart().startsWith('{')) return readJsonKey(only);
  return new Map(
    parts.map((part) => {
      const at = part.indexOf('=');
      if (at < 1) throw new UsageError(`'${part}' names no field: write field=value, e.g. origin=ORD.`);
      return [part.slice(0, at), part.slice(at + 1)] as const;
    }),
  );
}

function readJsonKey(text: string): ReadonlyMap<string, string> {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`'${text}' is no JSON object: write '{"origin": "ORD"}'.`, { cause });
  }
  return new Map(
    Object.entries(given as object).map(([field, value]) => {
      if (!['string', 'number', 'boolean'].includes(typeof value))
        throw new UsageError(`The field '${field}' of a key is a text, a number, or true or false.`);
      return [field, String(value)] as const;
    }),
  );
}

/** The key of a view's entity, with each value written as that of an event would be: `01` and `1.0` are the number 1. */
export function entityOf(project: Project, view: View, key: ReadonlyMap<string, string>): string {
  const sources = project.sources.filter(({ name }) => view.sources.includes(name));
  return keyOfParts(
    view.entity.map((name) => {
      const type = sources.flatMap(({ fields }) => fields).find((field) => field.name === name)?.type;
      return written(name, key.get(name) ?? '', type ?? 'string');
    }),
  );
}

function written(name: string, text: string, type: FieldType): string {
  if (type === 'string') return text;
  const value = type === 'bool' ? (text === 'true' || text === 'false' ? text : null) : numberOf(text);
  if (value === null)
    throw new UsageError(
      `'${text}' is no value of '${name}', which is ${type === 'bool' ? 'true or false' : 'a number'}.`,
    );
  return String(value);
}

function numberOf(text: string): number | null {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value + 0 : null;
}
