import type { Project } from '../../schemas/project.ts';
import type { IngestContext } from './context.ts';
import { commit } from './flush.ts';
import { tiedSources } from './neighbours.ts';
import type { RawPartition } from './raw-partition.ts';
import type { Limited } from './record-queue.ts';

/** How often a waiting partition tells the others how far it is, ms. */
const TELL_EVERY_MS = 100;
/** How often partitions of other processes are looked at in backlog, ms. */
const LOOK_BESIDE_EVERY_MS = 20;

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
export async function limitsOf(
  context: IngestContext,
  spreadOf: ReadonlyMap<string, number>,
): Promise<Array<Limited<RawPartition>>> {
  const { clock, guards, neighbours, owned } = context;
  const now = clock.now();
  const waiting = [...owned.values()].filter(({ queue }) => queue.size > 0);
  if (!guards.align) return waiting.map((of) => ({ of, queue: of.queue, limit: Number.POSITIVE_INFINITY }));
  const backlog = waiting
    .filter((one) => !neighbours.alone(one.source.name) && one.backlogAt(now) !== null)
    .map(({ source }) => source.name);
  if (backlog.length > 0) await lookBeside(context, new Set(backlog));
  return waiting.map((of) => {
    let slowest = Number.POSITIVE_INFINITY;
    if (neighbours.alone(of.source.name)) return { of, queue: of.queue, limit: slowest };
    for (const neighbour of neighbours.of(of.source.name)) {
      const own = owned.get(`${neighbour.topic}:${neighbour.partition}`);
      if (own === of) continue;
      const at = own === undefined ? neighbours.holdsAt(neighbour) : own.backlogAt(now);
      if (at !== null && at < slowest) slowest = at;
    }
    return { of, queue: of.queue, limit: slowest + (spreadOf.get(of.source.name) ?? 0) };
  });
}

/** In backlog other processes' partitions are looked at before anything is worked: one that begins has told nothing yet. */
async function lookBeside(context: IngestContext, sources: ReadonlySet<string>): Promise<void> {
  const { clock, consumer, neighbours, owned } = context;
  if (clock.now() - context.lookedBesideAt < LOOK_BESIDE_EVERY_MS) return;
  context.lookedBesideAt = clock.now();
  const others = (await neighbours.look(sources)).filter(
    ({ topic, partition }) => !owned.has(`${topic}:${partition}`),
  );
  await neighbours.markUnread(others, consumer);
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
