import type { EventRecord } from './event.ts';
import type { Source } from './project.ts';

type Values = { readonly [name: string]: EventRecord[string] | undefined };

/** What each place of a record gives that gives more than one value of an event, by path. */
function shared({
  format,
  fields,
}: Source): ReadonlyArray<readonly [path: string, names: readonly string[]]> {
  if (format.kind === 'avro') return [];
  const { mapping } = format;
  const byPath = new Map<string, string[]>();
  const add = (path: string, name: string) => byPath.set(path, [...(byPath.get(path) ?? []), name]);
  add(mapping.id, 'id');
  add(mapping.time.path, 'time');
  if ('path' in mapping.type) add(mapping.type.path, 'type');
  for (const { name } of fields) {
    const path = Object.hasOwn(mapping.fields, name) ? mapping.fields[name] : undefined;
    if (path !== undefined) add(path, name);
  }
  return [...byPath].filter(([, names]) => names.length > 1);
}

/**
 * A mapping may read the id, the type, the time and fields from one place of a record. Then an event can only be written whose values
 * for it are the same. Answers with a sentence about the first that is not; null where all are, or are null.
 */
export function createSamePlaceCheck(source: Source): (event: Values) => string | null {
  const places = shared(source);
  return (event) => {
    for (const [path, names] of places) {
      const [first, ...others] = names.filter((name) => event[name] !== null && event[name] !== undefined);
      if (first === undefined) continue;
      // An id is text, whatever the record holds.
      const other = others.find((name) => String(event[name]) !== String(event[first]));
      if (other !== undefined)
        return `'${other}' is ${String(event[other])} and '${first}' is ${String(event[first])}, but both are '${path}' of a record: send the same, or leave '${other}' out.`;
    }
    return null;
  };
}

/** The field that is read from the place of the id, the type and the time; for whoever leaves these out. */
export function fieldsAtOwnPlaces(source: Source): ReadonlyArray<readonly [own: string, field: string]> {
  return shared(source).flatMap(([, names]) => {
    const own = names.filter((name) => ['id', 'type', 'time'].includes(name));
    const field = names.find((name) => !own.includes(name));
    return field === undefined ? [] : own.map((name) => [name, field] as const);
  });
}
