import { describe, expect, it } from 'vitest';
import type { Project } from '../../schemas/project.ts';
import { MINUTE } from '../../schemas/time.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import { FAULTS, type HistoryOptions, history } from './history.ts';
import { seeded } from './random.ts';

const WITHIN = 10 * MINUTE;

const deduplicating = (project: Project): Project => ({
  ...project,
  sources: project.sources.map((source) => ({
    ...source,
    deduplicate: { within: WITHIN, atMost: 1_000_000 },
  })),
});

/** Trips as they once arrived, and one in ten of them once more, up to ten minutes later. */
function repeated(seed: number, arrivals: 'said' | 'unknown') {
  const random = seeded(seed);
  return (trips: readonly ReplayItem[]): ReplayItem[] => {
    const said = trips.map((item) => ({ ...item, ...(arrivals === 'said' ? { arrivedAt: item.time } : {}) }));
    const again = said
      .filter(() => random() < 0.1)
      .map((item) => {
        // Where nothing says when they arrived, it is event time that counts, and it trails.
        const most = arrivals === 'said' ? WITHIN : WITHIN / 2;
        const time = item.time + Math.floor(random() ** 3 * (most + 1));
        return { ...item, time, ...(arrivals === 'said' ? { arrivedAt: time } : {}) };
      });
    return [...said, ...again].sort((a, b) => a.time - b.time).map((item, place) => ({ ...item, place }));
  };
}

/** All that a history leaves behind, without the places that its events had in the raw topic. */
async function outcome(options: Pick<HistoryOptions, 'seed' | 'faults' | 'change'>) {
  const { world, result, faults } = await history({
    trips: 120,
    faultEveryMs: 200,
    edit: deduplicating,
    ...options,
  });
  expect(result.complete).toBe(true);
  const { first, repeats } = await world.predictions();
  const letters = (await world.deadLetters()).filter(({ writer }) => writer === 'ingest');
  const accepted = await world.accepted();
  return {
    faults,
    repeats,
    refused: Map.groupBy(letters, ({ code }) => code),
    ids: new Set(accepted.map(({ event }) => event.id)),
    accepted: accepted.map(({ partition, event }) => ({ partition, event })),
    lettersOfViews: (await world.deadLetters()).length - letters.length,
    predictions: new Map(
      first.map(({ requestId, status, score, vector, reads }) => [
        requestId,
        { status, score, vector, reads: reads.map(({ view, head, asOf }) => ({ view, head, asOf })) },
      ]),
    ),
  };
}

const seeds = Array.from({ length: Number(process.env.HISTORIES ?? 8) }, (_, i) => i + 1);

describe('a history with one event in ten repeated within the time', () => {
  it.each(seeds)(
    'gives what it gives without them, bit for bit, whatever breaks (seed %i)',
    {
      timeout: 120_000,
    },
    async (seed) => {
      const arrivals = seed % 2 === 0 ? 'said' : 'unknown';
      const said = (trips: readonly ReplayItem[]) =>
        arrivals === 'said' ? trips.map((item) => ({ ...item, arrivedAt: item.time })) : trips;
      const plain = await outcome({ seed, faults: [], change: said });
      const faults = seed % 4 === 1 ? [] : FAULTS;
      const again = await outcome({ seed, faults, change: repeated(seed, arrivals) });
      expect(again.accepted).toEqual(plain.accepted);
      expect(again.predictions).toEqual(plain.predictions);
      expect(again.lettersOfViews).toBe(plain.lettersOfViews);
      expect(again.refused.get('duplicate')?.length ?? 0).toBeGreaterThan(2);
      for (const { eventId } of again.refused.get('duplicate') ?? []) expect(again.ids).toContain(eventId);
      // Most repeats would be late as well: a memory that was lost shows in what they are called.
      for (const { eventId } of again.refused.get('late') ?? []) expect(again.ids).not.toContain(eventId);
    },
  );
});
