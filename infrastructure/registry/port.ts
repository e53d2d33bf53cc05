import type { Schema } from 'avsc';
import type { SchemaText } from '../../schemas/registered-schema.ts';

/** How a schema stands to its subject, before anything is registered. */
export type SchemaStanding =
  | { readonly status: 'new' }
  | { readonly status: 'same'; readonly id: number }
  | { readonly status: 'compatible' }
  | { readonly status: 'conflict'; readonly detail: string };

/** What streams and tools need of a schema registry. Adapters: Confluent's API (`/apis/ccompat/v7`), and memory. */
export interface SchemaRegistry {
  /**
   * Id of the schema under the subject; the same one where it is there already. A new subject is BACKWARD compatible
   * from then on. Throws IncompatibleSchema where records written so far could not be read, RegistryError else.
   */
  register(subject: string, schema: Schema): Promise<number>;
  /** What `register` would do; changes nothing. */
  standing(subject: string, schema: Schema): Promise<SchemaStanding>;
  /** A schema, or null where the registry knows none of that id. Both are remembered, the latter for a while. */
  schemaById(id: number): Promise<SchemaText | null>;
  /** The same for many ids at once. */
  schemasById(ids: Iterable<number>): Promise<ReadonlyMap<number, SchemaText | null>>;
  /** Every version of a subject by the id of its schema, the newest among them; empty where there is none. */
  versions(subject: string): Promise<ReadonlyMap<number, string>>;
  subjects(): Promise<readonly string[]>;
  /** Text of the newest schema under a subject; null where there is none. */
  latest(subject: string): Promise<string | null>;
  /** Deletes a subject with all its versions; nothing where there is none. */
  remove(subject: string): Promise<void>;
  close(): Promise<void>;
}
