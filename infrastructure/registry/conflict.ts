import type { Schema } from 'avsc';
import { findIncompatibility } from '../../schemas/compatibility.ts';

/** The sentence of a conflict: subject, field, what is wrong, how to mend it. Null where there is none to be seen. */
export function describeConflict(subject: string, schema: Schema, before: string): string | null {
  const found = findIncompatibility(schema, before);
  if (found === null) return null;
  const where = found.field === '' ? '' : `, field ${found.field}`;
  return (
    `the schema of ${subject} cannot read what has been written${where}: ${found.problem}; ` +
    `${found.mend}, or start under another prefix`
  );
}
