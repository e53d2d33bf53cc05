/** Names of the features that are null (NaN) in every one of n x features rows: a model cannot learn from them. None of no rows. */
export function emptyFeatures(rows: Float64Array, names: readonly string[]): string[] {
  if (rows.length === 0) return [];
  return names.filter((_, feature) => {
    for (let at = feature; at < rows.length; at += names.length) if (!Number.isNaN(rows[at])) return false;
    return true;
  });
}

/** For a person; null where every feature has a value somewhere. */
export function emptyFeaturesSentence(empty: readonly string[]): string | null {
  if (empty.length === 0) return null;
  const shown = empty.slice(0, 12).join(', ');
  const more = empty.length > 12 ? ` and ${empty.length - 12} more` : '';
  const [are, them] = empty.length === 1 ? ['1 feature is', 'it'] : [`${empty.length} features are`, 'them'];
  return `${are} null in every row, so nothing is learnt from ${them}: ${shown}${more}. Do the events come that ${them === 'it' ? 'it needs' : 'they need'}, and can the conditions be true?`;
}
