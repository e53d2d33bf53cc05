import { expect } from 'vitest';
import { type TroubleOptions, trouble, type Verdict } from './trouble.ts';

/** Ten thousand histories in all (troubles-*.test.ts); `SIMULATION=0.1` runs a tenth, `SIMULATION=10` ten times as many. */
export const SCALE = Number(process.env.SIMULATION ?? 1);

/** Runs a history for each seed from `from`; fails with the first that broke a promise, its seed and what it broke. */
export async function allKept(
  streams: TroubleOptions['streams'],
  from: number,
  count: number,
): Promise<void> {
  const verdicts: Verdict[] = [];
  for (let seed = from; seed < from + Math.ceil(count * SCALE); seed += 1) {
    const verdict = await trouble({ seed, streams });
    verdicts.push(verdict);
    expect(verdict.broken, `${streams}, seed ${seed}, ${verdict.trouble}`).toEqual([]);
  }
  console.log(
    `${streams}: ${verdicts.length} histories from seed ${from}, none broken; ${countsOf(verdicts)}`,
  );
}

/** How often rules held something back, in all histories. */
export function countsOf(verdicts: readonly Verdict[]): string {
  const counts = new Map<string, number>();
  for (const { guarded } of verdicts)
    for (const [rule, count] of Object.entries(guarded)) counts.set(rule, (counts.get(rule) ?? 0) + count);
  return [...counts].map(([rule, count]) => `${rule} ${count}`).join(', ');
}
