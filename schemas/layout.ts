import { createHash } from 'node:crypto';

/** A feature as a layout knows it: one that is computed from the request is another where its expression is another. */
export interface LayoutFeature {
  readonly name: string;
  /** As it was declared; absent or null where there is none. */
  readonly expression?: string | null;
}

/**
 * The identity of a feature vector's layout: SHA-256, in lower case hex, of the features in order, joined by a line
 * feed; a feature is its name, and behind ` = ` its expression. A model carries the hash of the layout it learnt from,
 * a vector the hash of the one it was read with; where they differ the vector is refused, never silently scored.
 *
 * @throws RangeError where a name is empty, holds a line feed, or stands twice: two layouts could share one hash.
 */
export function layoutHash(features: readonly LayoutFeature[]): string {
  const seen = new Set<string>();
  for (const { name } of features) {
    if (name === '' || name.includes('\n')) {
      throw new RangeError(
        `Feature name ${JSON.stringify(name)} cannot be part of a layout: use a name without line feeds.`,
      );
    }
    if (seen.has(name))
      throw new RangeError(`Feature "${name}" stands twice in the layout: name each feature once.`);
    seen.add(name);
  }
  const lines = features.map(({ name, expression }) =>
    expression == null ? name : `${name} = ${JSON.stringify(expression)}`,
  );
  return createHash('sha256').update(lines.join('\n'), 'utf8').digest('hex');
}

/** Expressions by the names of their features. */
export function expressionsOf(features: readonly LayoutFeature[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    features.flatMap(({ name, expression }) => (expression == null ? [] : [[name, expression]])),
  );
}
