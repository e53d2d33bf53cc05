import type { Schema } from 'avsc';
import type { FieldType } from '../../schemas/event.ts';
import type { EventMapping, EventType, Model, Project, Source } from '../../schemas/project.ts';
import type { DeclaredUnit } from '../../schemas/time-unit.ts';
import type { View } from '../../schemas/view.ts';
import { entityOf, fieldsOf, isNullable, requestOf } from './shapes.ts';

/** JSON Schemas (draft 7, which AsyncAPI 3 takes) of what travels in a project. */
export type JsonSchema = { readonly [key: string]: unknown };

const EPOCH_MS = { type: 'integer', description: 'Epoch ms.' };

const FIELDS: Readonly<Record<FieldType, JsonSchema>> = {
  string: { type: 'string' },
  int: { type: 'integer' },
  double: { type: 'number' },
  bool: { type: 'boolean' },
  timestamp: EPOCH_MS,
};

/** Takes null as well. */
const orNull = (schema: JsonSchema): JsonSchema => ({ ...schema, type: [schema.type, 'null'] });

const objectOf = (
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
): JsonSchema => ({ type: 'object', description, properties, required, additionalProperties: false });

/** An event by the names that its source declares, as the HTTP API and the client library take it. */
export function eventSchema(source: Source, event: EventType): JsonSchema {
  const fields = fieldsOf(source, event);
  return objectOf(
    `${event.name} of ${source.name}.`,
    {
      id: { type: 'string', minLength: 1, description: 'Unique in the source.' },
      type: { const: event.name },
      time: { ...EPOCH_MS, description: 'Event time, epoch ms.' },
      ...Object.fromEntries(
        fields.map(({ name, type, required }) => [name, required ? FIELDS[type] : orNull(FIELDS[type])]),
      ),
    },
    ['id', 'type', 'time', ...fields.filter(({ required }) => required).map(({ name }) => name)],
  );
}

const TIMES: Readonly<Record<DeclaredUnit, JsonSchema>> = {
  iso: { type: 'string', description: 'ISO 8601 with a zone.' },
  ms: EPOCH_MS,
  s: { type: 'number', description: 'Epoch seconds.' },
  us: { type: 'integer', description: 'Epoch microseconds.' },
  ns: { type: 'integer', description: 'Epoch nanoseconds.' },
};

/** A record of a source of JSON as its team writes it: the mapping's paths, turned back into an object. */
export function recordSchema(source: Source, event: EventType, mapping: EventMapping): JsonSchema {
  const root: Tree = { schema: null, required: true, inner: new Map() };
  const headers = (path: string) => path.startsWith('$');
  const place = (path: string, schema: JsonSchema, required: boolean) => {
    if (!headers(path)) put(root, path.split('.'), schema, required);
  };
  place(mapping.id, { type: ['string', 'integer'], description: "The event's id." }, true);
  place(mapping.time.path, { ...TIMES[mapping.time.unit] }, true);
  if ('path' in mapping.type) place(mapping.type.path, { const: event.name }, true);
  for (const { name, type, required } of fieldsOf(source, event)) {
    const schema = type === 'timestamp' ? { type: ['string', 'number'] } : FIELDS[type];
    const path = Object.hasOwn(mapping.fields, name) ? (mapping.fields[name] ?? name) : name;
    if (path !== mapping.id) place(path, required ? schema : nullable(schema), required);
  }
  return { description: `${event.name} of ${source.name}, as its team writes it.`, ...schemaOfTree(root) };
}

const nullable = (schema: JsonSchema): JsonSchema => ({
  ...schema,
  type: [...(Array.isArray(schema.type) ? schema.type : [schema.type]), 'null'],
});

interface Tree {
  schema: JsonSchema | null;
  required: boolean;
  readonly inner: Map<string, Tree>;
}

function put(
  tree: Tree,
  [step = '', ...rest]: readonly string[],
  schema: JsonSchema,
  required: boolean,
): void {
  const below = tree.inner.get(step) ?? { schema: null, required: false, inner: new Map() };
  tree.inner.set(step, below);
  below.required ||= required;
  if (rest.length === 0) below.schema = schema;
  else put(below, rest, schema, required);
}

function schemaOfTree({ schema, inner }: Tree): JsonSchema {
  if (inner.size === 0) return schema ?? {};
  const entries = [...inner];
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, tree]) => [name, schemaOfTree(tree)])),
    required: entries.filter(([, tree]) => tree.required).map(([name]) => name),
  };
}

/** The features of one entity of a view, by name. */
export function featuresSchema(project: Project, view: View): JsonSchema {
  const key = entityOf(project, view).map(({ name }) => name);
  const { properties } = objectOf(
    '',
    Object.fromEntries(
      view.features.map((feature) => [
        feature.name,
        isNullable(feature) ? { type: ['number', 'null'] } : { type: 'number' },
      ]),
    ),
    [],
  ) as { properties: Record<string, JsonSchema> };
  return objectOf(`Features of ${view.id}, by ${key.join(' and ')}.`, properties, Object.keys(properties));
}

/** What may be asked of a model over HTTP: the request's fields; `id` and `time` may be left out. */
export function requestSchema(project: Project, model: Model): JsonSchema {
  const { source, event } = requestOf(project, model);
  const { properties, required } = eventSchema(source, event) as {
    properties: Record<string, JsonSchema>;
    required: string[];
  };
  const drawn = ['id', 'type', 'time'];
  return objectOf(
    `A request of ${model.name}.`,
    properties,
    required.filter((name) => !drawn.includes(name)),
  );
}

/** The JSON form of an Avro schema. NaN, which JSON does not have, is null. */
export function jsonSchemaOfAvro(avro: Schema): JsonSchema {
  if (Array.isArray(avro)) {
    const [only, second] = avro.filter((one) => one !== 'null');
    if (only === undefined || second !== undefined) throw new Error('only unions with null are written here');
    return nullable(jsonSchemaOfAvro(only));
  }
  if (typeof avro === 'string') return { type: PRIMITIVES[avro] ?? 'string' };
  const one = avro as Record<string, unknown> & { type: string; doc?: string };
  if (one.type === 'array') return { type: 'array', items: jsonSchemaOfAvro(one.items as Schema) };
  if (one.type === 'enum') return { type: 'string', enum: one.symbols };
  if (one.type !== 'record') return jsonSchemaOfAvro(one.type as Schema);
  const fields = one.fields as ReadonlyArray<{ name: string; type: Schema; doc?: string }>;
  return objectOf(
    one.doc ?? '',
    Object.fromEntries(
      fields.map(({ name, type, doc }) => [
        name,
        { ...jsonSchemaOfAvro(type), ...(doc === undefined ? {} : { description: doc }) },
      ]),
    ),
    fields.map(({ name }) => name),
  );
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  string: 'string',
  bytes: 'string',
  int: 'integer',
  long: 'integer',
  float: 'number',
  double: 'number',
  boolean: 'boolean',
  null: 'null',
};
