import type { Schema } from 'avsc';
import { parseSchema } from './avro.ts';

/** Why records of one schema cannot be read with another, and what to do about it. */
export interface Incompatibility {
  /** Dotted path of the field; empty for the record itself. */
  readonly field: string;
  /** What is wrong. */
  readonly problem: string;
  readonly mend: string;
}

type Shape = string | readonly Shape[] | RecordShape;
interface RecordShape {
  readonly type: Shape;
  readonly name?: string;
  readonly items?: Shape;
  readonly values?: Shape;
  readonly symbols?: readonly string[];
  readonly fields?: ReadonlyArray<{
    readonly name: string;
    readonly type: Shape;
    readonly default?: unknown;
    readonly aliases?: readonly string[];
  }>;
}

/**
 * Whether `reader` can read what was written with `writer` (BACKWARD compatibility, where reader is the newer one):
 * null, or the first thing that stands in the way. avsc decides; the rest finds the words.
 */
export function findIncompatibility(
  reader: Schema | string,
  writer: Schema | string,
): Incompatibility | null {
  const newer = parseSchema(reader);
  const older = parseSchema(writer);
  try {
    newer.createResolver(older);
    return null;
  } catch (error) {
    const found = compare(
      newer.schema({ exportAttrs: true }) as Shape,
      older.schema({ exportAttrs: true }) as Shape,
      '',
    );
    if (found !== null) return found;
    return {
      field: '',
      problem: (error as Error).message,
      mend: 'keep the fields as they were and add new ones',
    };
  }
}

function compare(reader: Shape, writer: Shape, path: string): Incompatibility | null {
  const [to, from] = [bare(reader), bare(writer)];
  if (isRecord(to) && isRecord(from)) return compareFields(to, from, path);
  if (isNode(to) && isNode(from) && to.items !== undefined && from.items !== undefined) {
    return compare(to.items, from.items, path);
  }
  if (isNode(to) && isNode(from) && to.values !== undefined && from.values !== undefined) {
    return compare(to.values, from.values, path);
  }
  try {
    parseSchema(reader as Schema).createResolver(parseSchema(writer as Schema));
    return null;
  } catch {
    return {
      field: path,
      problem: `it was ${words(from)} and is ${words(to)}`,
      mend: 'leave it as it was and add a new field under another name',
    };
  }
}

function compareFields(reader: RecordShape, writer: RecordShape, path: string): Incompatibility | null {
  const old = new Map((writer.fields ?? []).map((field) => [field.name, field]));
  for (const field of reader.fields ?? []) {
    const at = path === '' ? field.name : `${path}.${field.name}`;
    const before = [field.name, ...(field.aliases ?? [])]
      .map((name) => old.get(name))
      .find((f) => f !== undefined);
    if (before === undefined) {
      if (field.default !== undefined) continue;
      return { field: at, problem: 'it is new and has no default', mend: 'give it a default, such as null' };
    }
    const found = compare(field.type, before.type, at);
    if (found !== null) return found;
  }
  if (reader.name !== undefined && writer.name !== undefined && reader.name !== writer.name) {
    const problem = `the record was named ${writer.name} and is named ${reader.name}`;
    return { field: path, problem, mend: 'keep its name' };
  }
  return null;
}

/** `{ type: 'long', logicalType: … }` is a long. */
function bare(shape: Shape): Shape {
  if (!isNode(shape)) return shape;
  return typeof shape.type === 'string' && !/^(record|error|enum|array|map|fixed)$/.test(shape.type)
    ? shape.type
    : shape;
}

function isNode(shape: Shape): shape is RecordShape {
  return typeof shape === 'object' && !Array.isArray(shape);
}

function isRecord(shape: Shape): shape is RecordShape {
  return isNode(shape) && shape.fields !== undefined;
}

function words(shape: Shape): string {
  if (typeof shape === 'string') return shape;
  if (!isNode(shape)) return `one of ${shape.map((branch) => words(bare(branch))).join(', ')}`;
  if (shape.symbols !== undefined) return `an enum of ${shape.symbols.join(', ')}`;
  return `${typeof shape.type === 'string' ? shape.type : words(shape.type)} ${shape.name ?? ''}`.trim();
}
