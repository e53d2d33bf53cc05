/** A schema as a registry has it, with all that it takes to read its records. */
export interface RegisteredSchema {
  /** `AVRO`, `JSON` or `PROTOBUF`. */
  readonly type: string;
  readonly text: string;
  /** Texts of the Avro schemas that it names, each before those that name it. */
  readonly references: readonly string[];
}

/** A text alone is an Avro schema that names no other. */
export type SchemaText = string | RegisteredSchema;

export const registeredSchema = (schema: SchemaText): RegisteredSchema =>
  typeof schema === 'string' ? { type: 'AVRO', text: schema, references: [] } : schema;
