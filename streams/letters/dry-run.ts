import { type Effect, type EffectDeps, effectOf } from './effect.ts';
import { groupLetters, type LetterGroup } from './groups.ts';
import { importedLetters } from './imported.ts';
import type { Judged } from './judge.ts';
import type { Letter } from './letter.ts';
import { type LookDeps, lookAtLetters } from './look.ts';
import type { LetterReplay } from './replay.ts';

export interface DryRun {
  readonly letters: readonly LetterGroup[];
  /** Null where it was not asked for. */
  readonly effect: Effect | null;
}

/** What would become of letters, and what that would change. Sends nothing. `effect`: reads the archive as far back as windows reach. */
export async function dryRun(
  deps: LookDeps & EffectDeps,
  replays: readonly LetterReplay[],
  effect: boolean,
): Promise<DryRun> {
  const verdicts = new Map<string, Judged<Letter>[]>();
  for (const { source, selection, fix } of replays)
    verdicts.set(source.name, await lookAtLetters(deps, source, selection, fix));
  const imported: LetterGroup[] = [];
  for (const { source, selection } of replays)
    imported.push(...(await importedLetters(deps, source, selection)));
  return {
    letters: [...[...verdicts].flatMap(([source, judged]) => groupLetters(source, judged)), ...imported],
    effect: effect ? await effectOf(deps, verdicts) : null,
  };
}
