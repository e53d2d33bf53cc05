import { createHash } from 'node:crypto';

/**
 * The identity of a feature vector's layout: SHA-256, in lower case hex, of the feature names in order, joined by a
 * line feed. A model carries the hash of the layout it learnt from, a vector the hash of the one it was read with;
 * where they differ the vector is refused, never silently scored.
 *
 * @throws RangeError where a name is empty, holds a line feed, or stands twice: two layouts could share one hash.
 */
export function layoutHash(names: readonly string[]): string {
  const seen = new Set<string>();
  for (const name of names) {
    if (name === '' || name.includes('\n')) {
      throw new RangeError(
        `Feature name ${JSON.stringify(name)} cannot be part of a layout: use a name without line feeds.`,
      );
    }
    if (seen.has(name))
      throw new RangeError(`Feature "${name}" stands twice in the layout: name each feature once.`);
    seen.add(name);
  }
  return createHash('sha256').update(names.join('\n'), 'utf8').digest('hex');
}
