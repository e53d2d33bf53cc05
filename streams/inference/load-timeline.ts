import { type ModelHistory, timelineOf } from '../../infrastructure/registry/history.ts';
import type { Roles } from './predict.ts';
import type { ScorerCache } from './scorer-cache.ts';

/** A stretch of a model's timeline with its scorers loaded. */
export interface LoadedStretch extends Roles {
  /** Event time, epoch ms. */
  readonly from: number;
}

/** Before any version: no champion, no shadows. */
export const NO_MODELS: readonly LoadedStretch[] = [
  { from: Number.NEGATIVE_INFINITY, champion: null, shadows: [] },
];

/** Loads the scorers that a model's timeline names. A version that cannot be loaded is passed over: the champion before it goes on. */
export async function loadTimeline(
  history: ModelHistory,
  cache: ScorerCache,
): Promise<readonly LoadedStretch[]> {
  cache.retry();
  for (;;) {
    // Where a version is passed over, the one before it is wanted after all: so the timeline is formed anew after each loading.
    const timeline = timelineOf(history, (version) => !cache.failed(version));
    const wanted = new Set(timeline.flatMap(({ champion, shadows }) => [...shadows, champion ?? 0]));
    const lacking = history.versions.filter(
      ({ version }) => wanted.has(version) && cache.get(version) === null,
    );
    for (const { version, artefact } of lacking) await cache.load(version, artefact);
    if (lacking.length > 0) continue;
    cache.retain(wanted);
    return timeline.map(({ from, champion, shadows }) => ({
      from,
      champion: champion === null ? null : cache.get(champion),
      shadows: shadows.flatMap((version) => cache.get(version) ?? []),
    }));
  }
}

/** Whether two stretches name the same versions. */
export function sameRoles(a: LoadedStretch | undefined, b: LoadedStretch): boolean {
  const text = ({ champion, shadows }: LoadedStretch) =>
    [champion, ...shadows].map((one) => one?.version ?? 0).join(' ');
  return a !== undefined && text(a) === text(b);
}
