import { RegistryError } from './errors.ts';

/** Most schemas that one schema may name, directly or through others. */
const MAX_REFERENCES = 200;

interface Reference {
  readonly subject: string;
  readonly version: number;
}

const isReference = (value: unknown): value is Reference =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Partial<Reference>).subject === 'string' &&
  Number.isSafeInteger((value as Partial<Reference>).version);

/**
 * Texts of the schemas that a schema names, each before those that name it, and each once; null where one of them is not there.
 * `fetchVersion` answers a version of a subject as the registry has it.
 */
export function createReferences(
  fetchVersion: (subject: string, version: number) => Promise<unknown>,
): (references: unknown) => Promise<string[] | null> {
  return async (references) => {
    const seen = new Set<string>();
    const texts: string[] = [];
    /** False where a schema is missing. */
    async function collect(list: unknown): Promise<boolean> {
      for (const reference of Array.isArray(list) ? list : []) {
        if (!isReference(reference)) continue;
        const key = `${reference.version} ${reference.subject}`;
        if (seen.has(key)) continue;
        seen.add(key);
        if (seen.size > MAX_REFERENCES)
          throw new RegistryError('refused', `a schema names more than ${MAX_REFERENCES} others`, {
            retriable: false,
          });
        const found = (await fetchVersion(reference.subject, reference.version)) as {
          readonly schema?: unknown;
          readonly references?: unknown;
        } | null;
        if (found === null || typeof found.schema !== 'string') return false;
        if (!(await collect(found.references))) return false;
        texts.push(found.schema);
      }
      return true;
    }
    return (await collect(references)) ? texts : null;
  };
}
