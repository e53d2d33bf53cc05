import { z } from 'zod';
import { FILES } from './declarations.ts';

/** Where the generated schemas lie, from the root of the repository. */
export const SCHEMA_DIRECTORY = 'docs/reference';

export type FileKind = keyof typeof FILES;
export const FILE_KINDS = Object.keys(FILES) as FileKind[];

export const schemaFileOf = (kind: FileKind) => `${kind}.schema.json`;

/** JSON Schema of one kind of file, for editors: completion, descriptions, and errors while writing. */
export function jsonSchemaOf(kind: FileKind): Record<string, unknown> {
  const { schema, title, file } = FILES[kind];
  const { $schema, ...body } = z.toJSONSchema(schema, { target: 'draft-07', io: 'input' });
  return { $schema, title: `Millrace: ${title} (${file})`, ...body };
}

/** Every generated file of this kind with its text, by name. */
export function jsonSchemas(): ReadonlyMap<string, string> {
  return new Map(
    FILE_KINDS.map((kind) => [schemaFileOf(kind), `${JSON.stringify(jsonSchemaOf(kind), null, 2)}\n`]),
  );
}
