/** A value of an Avro schema, for a look at its fields: the first that fits, never null where something else is allowed. */
export function exampleOf(schema: unknown, named: Map<string, unknown> = new Map(), depth = 0): unknown {
  if (depth > 8) return null;
  if (Array.isArray(schema)) {
    const branch = schema.find((one) => one !== 'null');
    return branch === undefined ? null : exampleOf(branch, named, depth + 1);
  }
  if (typeof schema === 'string')
    return named.has(schema) ? exampleOf(named.get(schema), named, depth + 1) : PRIMITIVES[schema];
  if (typeof schema !== 'object' || schema === null) return null;
  const { type, name, logicalType, fields, symbols } = schema as Readonly<Record<string, unknown>>;
  if (typeof name === 'string') named.set(name, schema);
  if (logicalType === 'timestamp-millis') return Date.UTC(2026, 0, 1);
  if (logicalType === 'uuid') return '00000000-0000-4000-8000-000000000000';
  if (type === 'record' && Array.isArray(fields))
    return Object.fromEntries(
      (fields as ReadonlyArray<{ readonly name: string; readonly type: unknown }>).map((field) => [
        field.name,
        exampleOf(field.type, named, depth + 1),
      ]),
    );
  if (type === 'enum') return Array.isArray(symbols) ? symbols[0] : null;
  if (type === 'array') return [];
  if (type === 'map') return {};
  return exampleOf(type, named, depth + 1);
}

const PRIMITIVES: Readonly<Record<string, unknown>> = {
  string: 'text',
  boolean: true,
  int: 1,
  long: 1,
  float: 1.5,
  double: 1.5,
  null: null,
};
