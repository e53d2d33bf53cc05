import { describeConflict } from '../registry/conflict.ts';
import { IncompatibleSchema } from '../registry/errors.ts';
import type { SchemaRegistry } from '../registry/port.ts';

/** A schema registry in memory, with the same compatibility rule: a new schema must read what the newest wrote. */
export function createMemoryRegistry(): SchemaRegistry {
  const texts = new Map<number, string>();
  const ids = new Map<string, number>();
  const subjects = new Map<string, string[]>();

  const registry: SchemaRegistry = {
    async register(subject, schema) {
      const standing = await registry.standing(subject, schema);
      if (standing.status === 'same') return standing.id;
      if (standing.status === 'conflict') throw new IncompatibleSchema(subject, standing.detail);
      const text = JSON.stringify(schema);
      const id = ids.get(text) ?? ids.size + 1;
      ids.set(text, id);
      texts.set(id, text);
      subjects.set(subject, [...(subjects.get(subject) ?? []), text]);
      return id;
    },
    async standing(subject, schema) {
      const versions = subjects.get(subject) ?? [];
      const newest = versions.at(-1);
      if (newest === undefined) return { status: 'new' };
      const text = JSON.stringify(schema);
      if (versions.includes(text)) return { status: 'same', id: ids.get(text) ?? 0 };
      const detail = describeConflict(subject, schema, newest);
      return detail === null ? { status: 'compatible' } : { status: 'conflict', detail };
    },
    schemaById: async (id) => texts.get(id) ?? null,
    schemasById: async (asked) => new Map([...asked].map((id) => [id, texts.get(id) ?? null])),
    versions: async (subject) =>
      new Map((subjects.get(subject) ?? []).map((text) => [ids.get(text) ?? 0, text])),
    subjects: async () => [...subjects.keys()],
    latest: async (subject) => subjects.get(subject)?.at(-1) ?? null,
    remove: async (subject) => void subjects.delete(subject),
    close: async () => {},
  };
  return registry;
}
