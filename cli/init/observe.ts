import { isPath } from '../../config/source-declaration.ts';

/** What sample records look like: the scalars in them, by their dotted paths. */

export type Value = string | number | boolean;

export interface ObservedPath {
  readonly path: string;
  /** In the order of the records; records without it are left out. */
  readonly values: readonly Value[];
  readonly kind: 'text' | 'number' | 'bool';
}

export interface Observation {
  readonly records: number;
  readonly paths: readonly ObservedPath[];
  /** What no field can be made of, with the reason. */
  readonly notes: readonly string[];
}

const MOST_DEPTH = 6;
const KINDS = { string: 'text', number: 'number', boolean: 'bool' } as const;

/** Looks at records of one topic or file. Arrays, and paths whose values differ in kind, become notes. */
export function observe(records: readonly unknown[]): Observation {
  const found = new Map<string, Value[]>();
  const notes = new Set<string>();
  for (const record of records) walk(record, [], found, notes);
  const paths: ObservedPath[] = [];
  for (const [path, values] of found) {
    const above = [...found.keys()].find((other) => path.startsWith(`${other}.`));
    if (above !== undefined) {
      notes.add(`${path} is left out: ${above} is a value in other records.`);
      continue;
    }
    const kinds = [...new Set(values.map((value) => KINDS[typeof value as keyof typeof KINDS]))];
    const [kind] = kinds;
    if (kind === undefined) continue;
    if (kinds.length > 1) notes.add(`${path} is left out: it holds ${kinds.join(' and ')}.`);
    else paths.push({ path, values, kind });
  }
  return { records: records.length, paths, notes: [...notes] };
}

function walk(
  value: unknown,
  steps: readonly string[],
  found: Map<string, Value[]>,
  notes: Set<string>,
): void {
  const path = steps.join('.');
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) {
    notes.add(`${path || 'A record'} is left out: it holds a list, and a field is one value.`);
    return;
  }
  if (typeof value === 'object') {
    if (steps.length >= MOST_DEPTH) notes.add(`${path} is left out: it is nested too deeply.`);
    else
      for (const [name, inner] of Object.entries(value))
        if (name.includes('.') || !isPath(name))
          notes.add(`${[...steps, name].join('.')} is left out: its name cannot be written as a path.`);
        else walk(inner, [...steps, name], found, notes);
    return;
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return;
  if (steps.length === 0) return;
  const values = found.get(path);
  if (values === undefined) found.set(path, [value]);
  else values.push(value);
}
