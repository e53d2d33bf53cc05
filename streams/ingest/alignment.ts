import type { Project } from '../../schemas/project.ts';
import type { IngestContext } from './context.ts';
import { commit } from './flush.ts';
import { tiedSources } from './neighbours.ts';
import type { RawPartition } from './raw-partition.ts';
import type { Limited } from './record-queue.ts';

/** How often a waiting partition tells the others how far it is, ms. */
const TELL_EVERY_MS = 100;

/** How far apart in event time partitions of a source and of those tied to it may be worked in backlog: half of the least slack, ms. */
export function spreads(project: Project): ReadonlyMap<string, number> {
  return new Map(
    [...tiedSources(project)].map(([source, tied]) => {
      const slacks = project.views
        .filter(({ sources }) => sources.some((name) => tied.has(name)))
        .map(({ slack }) => slack);
      return [source, Math.min(...slacks) / 2];
    }),
  );
}

/**
 * The event time above which each partition's records wait: the slowest other partition that is in backlog, here or in another
 * process, plus the spread. The slowest of all never waits. One that has not moved for ten seconds holds nobody.
 */
export function limitsOf(
  context: IngestContext,
  spreadOf: ReadonlyMap<string, number>,
): Array<Limited<RawPartition>> {
  const { clock, guards, neighbours, owned } = context;
  const now = clock.now();
  const waiting = [...owned.values()].filter(({ queue }) => queue.size > 0);
  if (!guards.align) return waiting.map((of) => ({ of, queue: of.queue, limit: Number.POSITIVE_INFINITY }));
  return waiting.map((of) => {
    let slowest = Number.POSITIVE_INFINITY;
    for (const neighbour of neighbours.of(of.source.name)) {
      const own = owned.get(`${neighbour.topic}:${neighbour.partition}`);
      if (own === of) continue;
      const at = own === undefined ? neighbours.holdsAt(neighbour) : own.backlogAt(now);
      if (at !== null && at < slowest) slowest = at;
    }
    return { of, queue: of.queue, limit: slowest + (spreadOf.get(of.source.name) ?? 0) };
  });
}

/** Tells the store where partitions are in backlog that have no work to set it with: those that wait, and those that caught up. */
export async function tellBacklog(context: IngestContext): Promise<void> {
  const { clock, owned } = context;
  const now = clock.now();
  const next = new Map(
    [...owned.values()].flatMap((one) => {
      const backlogAt = one.backlogAt(now);
      if (backlogAt === one.progress.backlogAt || now - one.toldBacklogAt < TELL_EVERY_MS) return [];
      one.toldBacklogAt = now;
      return [[one, { ...one.progress, backlogAt }] as const];
    }),
  );
  await commit(context, new Map(), [], next);
}
