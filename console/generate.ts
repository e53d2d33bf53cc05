import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes the types of what the API answers with, from its OpenAPI document: src/lib/answers.ts. A test holds the file current, so
 * that a page cannot show what the API no longer gives.
 */

/** As much of JSON Schema as the document uses. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >;
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export const DOCUMENT = join(import.meta.dirname, '../docs/api/openapi.json');
export const ANSWERS = join(import.meta.dirname, 'src/lib/answers.ts');

/** The TypeScript type of a value that a schema allows. */
export function typeOf(schema: Schema): string {
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return [...new Set(either.map(typeOf))].join(' | ');
  if (schema.allOf !== undefined) return schema.allOf.map((one) => `(${typeOf(one)})`).join(' & ');
  if (Array.isArray(schema.type))
    return schema.type.map((type: string) => typeOf({ ...schema, type })).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return `ReadonlyArray<${schema.items === undefined ? 'unknown' : typeOf(schema.items)}>`;
    case 'object':
      return objectOf(schema);
    default:
      return 'unknown';
  }
}

function objectOf({ properties = {}, required = [], additionalProperties }: Schema): string {
  const names = Object.entries(properties);
  if (names.length === 0)
    return `Readonly<Record<string, ${typeof additionalProperties === 'object' ? typeOf(additionalProperties) : 'unknown'}>>`;
  const fields = names.map(
    ([name, schema]) =>
      `readonly ${/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${typeOf(schema)};`,
  );
  return `{ ${fields.join(' ')} }`;
}

/** The module: one property for each operation that answers with JSON. */
export function answersOf(document: OpenApi): string {
  const lines = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).flatMap(({ operationId, responses }) => {
      const good = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1];
      const schema = good?.content?.['application/json']?.schema;
      return schema === undefined ? [] : [`  readonly ${operationId}: ${typeOf(schema)};`];
    }),
  );
  return [
    '// Written by `node console/generate.ts` from docs/api/openapi.json.',
    '',
    '/** What the API answers with, by the name of the operation. */',
    '// biome-ignore format: one operation a line',
    'export interface Answers {',
    ...lines,
    '}',
    '',
  ].join('\n');
}

if (import.meta.main)
  writeFileSync(ANSWERS, answersOf(JSON.parse(readFileSync(DOCUMENT, 'utf8')) as OpenApi));
