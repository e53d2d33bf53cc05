/**
 * How many records to take of each partition, `max` in all: the same of each while it has as many, so that a long
 * partition cannot starve a short one. `available` and the answer are by index.
 */
export function fairShare(available: readonly number[], max: number): number[] {
  const taken = available.map(() => 0);
  let left = max;
  let open = available.filter((count) => count > 0).length;
  while (left > 0 && open > 0) {
    const share = Math.max(1, Math.floor(left / open));
    open = 0;
    for (let i = 0; i < available.length && left > 0; i++) {
      const had = taken[i] ?? 0;
      const count = Math.min(share, (available[i] ?? 0) - had, left);
      taken[i] = had + count;
      left -= count;
      if ((available[i] ?? 0) > had + count) open++;
    }
  }
  return taken;
}
