/** Levenshtein distance, with a swap of neighbours counted as one edit (Damerau, restricted). */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const cells = new Uint16Array((a.length + 1) * width);
  const cell = (i: number, j: number) => cells[i * width + j] ?? 0;
  for (let i = 0; i <= a.length; i += 1) cells[i * width] = i;
  for (let j = 0; j <= b.length; j += 1) cells[j] = j;
  for (let i = 1; i <= a.length; i += 1)
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, cell(i - 1, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, cell(i - 2, j - 2) + 1);
      cells[i * width + j] = best;
    }
  return cell(a.length, b.length);
}

/** Names by which other tools know what is meant. */
const SYNONYMS: Readonly<Record<string, string>> = {
  average: 'mean',
  avg: 'mean',
  boolean: 'bool',
  cardinality: 'distinct',
  date: 'timestamp',
  datetime: 'timestamp',
  decimal: 'double',
  float: 'double',
  integer: 'int',
  long: 'int',
  median: 'quantile',
  number: 'double',
  percentile: 'quantile',
  rate: 'share',
  ratio: 'share',
  std: 'stddev',
  text: 'string',
  time: 'timestamp',
  unique: 'distinct',
  var: 'variance',
};

/** The known name that was most likely meant, or null where none is close. */
export function nearest(name: string, known: Iterable<string>): string | null {
  const all = [...known];
  const other = SYNONYMS[name.toLowerCase()];
  if (other !== undefined && all.includes(other)) return other;
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of all) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance * 2 < name.length) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** How to mend an unknown name: the nearest one, or all there are. */
export function mendOfUnknown(name: string, known: Iterable<string>): string {
  const all = [...known];
  const near = nearest(name, all);
  if (near !== null) return `Did you mean '${near}'?`;
  if (all.length === 0) return 'There are none to choose from.';
  const shown = all.slice(0, 14).map((one) => `'${one}'`);
  return `Choose one of ${shown.join(', ')}${all.length > 14 ? ` and ${all.length - 14} more` : ''}.`;
}
