import { frontierOf, ownPartition } from '../../processors/meta.ts';
import { rawTopicNamed, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { floorTo } from '../../schemas/time.ts';
import { spreads } from '../ingest/alignment.ts';
import { tiedSources } from '../ingest/neighbours.ts';
import { iso } from '../runtime/iso.ts';
import type { RawStanding, ReaderStanding, Standing, ViewStanding } from './standing.ts';

/** Somebody who has work and does not do it, and for whom he waits. */
export interface Wait {
  readonly kind: 'idle_unread' | 'backlog_stands' | 'frontier_trails' | 'readers' | 'features_stands';
  /** Topic and partition of who waits. */
  readonly where: string;
  /** Records, or ms that a frontier trails. */
  readonly count: number;
  readonly sentence: string;
}

/** A wait, and what would have changed if it were none. */
interface Suspect extends Wait {
  readonly standsAt: string;
}

/** Waits that two looks some seconds apart both find, nothing having moved between. */
export function waitsOf(project: Project, first: Standing, second: Standing): Wait[] {
  const before = new Set(suspectsOf(project, first).map(markOf));
  return suspectsOf(project, second)
    .filter((suspect) => before.has(markOf(suspect)))
    .map(({ standsAt: _, ...wait }) => wait);
}

/** Whether a second look is worth its time. */
export const mayWait = (project: Project, look: Standing): boolean => suspectsOf(project, look).length > 0;

const markOf = ({ kind, where, standsAt }: Suspect) => `${kind} ${where} ${standsAt}`;

function suspectsOf(project: Project, look: Standing): Suspect[] {
  return [
    ...look.raw.flatMap((one) => rawSuspect(project, one, look) ?? []),
    ...look.views.flatMap((one) => viewSuspect(project, one, look) ?? []),
  ];
}

const nameOf = ({ topic, partition }: RawStanding) => `${topic} partition ${partition}`;

const unreadOf = ({ progress, end }: RawStanding) => Math.max(0, end - (progress?.next ?? end));

const isIdleUnread = (one: RawStanding) => one.progress?.idle === true && unreadOf(one) > 0;

function rawSuspect(project: Project, one: RawStanding, { raw }: Standing): Suspect | null {
  const { progress, topic, partition } = one;
  const count = unreadOf(one);
  if (progress === null || count === 0) return null;
  const since =
    progress.appendTime === null ? '' : `; its last worked record arrived ${iso(progress.appendTime)}`;
  const where = `${topic}:${partition}`;
  const standsAt = String(progress.next);
  if (progress.idle)
    return {
      kind: 'idle_unread',
      where,
      count,
      standsAt,
      sentence: `${nameOf(one)} is idle and has ${count} unread offsets from ${progress.next} on${since}. All that share views or models with it wait for its owner: is ingest running for all partitions?`,
    };
  if (progress.backlogAt === null) return null;
  return {
    kind: 'backlog_stands',
    where,
    count,
    standsAt,
    sentence: `${nameOf(one)} is in backlog at ${iso(progress.backlogAt)}, has ${count} unread offsets from ${progress.next} on, and does not move${since}. It waits for ${holderOfBacklog(project, one, raw)}.`,
  };
}

/** Whom a raw partition in backlog waits for: streams/ingest/idleness.ts and alignment.ts. */
function holderOfBacklog(project: Project, one: RawStanding, raw: readonly RawStanding[]): string {
  const tied = tiedSources(project).get(one.source.name) ?? new Set();
  const others = raw.filter((other) => other !== one && tied.has(other.source.name));
  const idle = others.find(isIdleUnread);
  if (idle !== undefined) return `${nameOf(idle)}, which is idle and has unread records`;
  const at = one.progress?.backlogAt ?? Number.NEGATIVE_INFINITY;
  const spread = spreads(project).get(one.source.name) ?? 0;
  const behind = others
    .filter(
      ({ progress }) => progress !== null && progress.backlogAt !== null && progress.backlogAt + spread < at,
    )
    .sort((a, b) => (a.progress?.backlogAt ?? 0) - (b.progress?.backlogAt ?? 0))[0];
  if (behind !== undefined) return `${nameOf(behind)}, which is further behind`;
  return 'its owner in ingest: is that process running?';
}

function viewSuspect(project: Project, one: ViewStanding, look: Standing): Suspect | null {
  const { view, partition, meta, end } = one;
  if (meta === null || meta.status !== 'ready') return null;
  const where = `${topics.view(project.prefix, view.id)}:${partition}`;
  const standsAt = `${meta.next} ${meta.frontier}`;
  const name = `View ${view.id} partition ${partition}`;
  const count = end - meta.next;
  if (count > 0) {
    const reader = slowestReader(one, look.readers);
    const sentence = `${name} has ${count} unread records from ${meta.next} on and does not move.`;
    if (reader !== null)
      return {
        kind: 'readers',
        where,
        count,
        standsAt,
        sentence: `${sentence} It stands at ${iso(meta.frontier ?? 0)} and waits for model ${reader.model.name} partition ${reader.partition}, which may still ask for ${iso(reader.least ?? 0)}: is its inference running?`,
      };
    return {
      kind: 'features_stands',
      where,
      count,
      standsAt,
      sentence: `${sentence} Is features running for all partitions?`,
    };
  }
  return trailing(project, one, look, { where, standsAt, name });
}

/** A reader so far behind that features waits for it: streams/features/pace.ts. */
function slowestReader(
  { view, meta }: ViewStanding,
  readers: readonly ReaderStanding[],
): ReaderStanding | null {
  const own = readers.filter(
    ({ model, least }) => least !== null && model.reads.some(({ view: name }) => name === view.name),
  );
  const slowest = own.sort((a, b) => (a.least ?? 0) - (b.least ?? 0))[0];
  if (slowest === undefined || meta === null || meta.frontier === null) return null;
  return meta.frontier > (slowest.least ?? 0) - view.readDelay + view.slack / 2 ? slowest : null;
}

/** The frontier is below what the progress of ingest lets it be, though all records of the view's topic are taken. */
function trailing(
  project: Project,
  { view, meta, partition }: ViewStanding,
  { raw }: Standing,
  known: { readonly where: string; readonly standsAt: string; readonly name: string },
): Suspect | null {
  const own = raw.filter(
    (one) => view.sources.includes(one.source.name) && (!view.local || one.partition === partition),
  );
  if (meta === null || own.some(({ progress }) => progress === null)) return null;
  const told = Object.fromEntries(
    own.flatMap(({ topic, partition, source, progress }) => {
      if (progress === null) return [];
      const { runningMax, byClock, idle, turn, appendTime, clockOpen } = progress;
      const watermark = runningMax === null ? null : runningMax - source.outOfOrderness;
      const { partitions } = source;
      const one = {
        partitions,
        mark: 0,
        begin: 0,
        runningMax,
        watermark,
        byClock,
        idle,
        turn,
        appendTime,
        clockOpen,
      };
      return [[`${topic}:${partition}`, one] as const];
    }),
  );
  const names = view.sources.map((name) => rawTopicNamed(project, name));
  const due = frontierOf({ topics: names, own: ownPartition(view, names, partition) }, told);
  const { frontier } = meta;
  if (
    due === null ||
    (frontier !== null && floorTo(frontier, view.resolution) >= floorTo(due, view.resolution))
  )
    return null;
  return {
    ...known,
    kind: 'frontier_trails',
    count: frontier === null ? 0 : due - frontier,
    sentence: `${known.name} has ${frontier === null ? 'no frontier' : `its frontier at ${iso(frontier)}`} though the least watermark of its sources is ${iso(due)}: ${lastHeard(names, own, meta.sources)}. Restart ingest: a new owner tells all views.`,
  };
}

/** The source partition that holds a frontier, as the view's log has told of it. */
function lastHeard(
  names: readonly string[],
  raw: readonly RawStanding[],
  sources: Readonly<Record<string, { readonly watermark: number | null; readonly idle: boolean }>>,
): string {
  const own = raw.filter(({ topic }) => names.includes(topic));
  const heardOf = (one: RawStanding) => sources[`${one.topic}:${one.partition}`];
  const silent = own.find((one) => heardOf(one) === undefined);
  if (silent !== undefined) return `it has never heard of ${nameOf(silent)}`;
  const [least] = own
    .filter((one) => heardOf(one)?.idle === false)
    .sort((a, b) => (heardOf(a)?.watermark ?? 0) - (heardOf(b)?.watermark ?? 0));
  return least === undefined
    ? 'it was told that all are idle'
    : `it waits for ${nameOf(least)}, last heard of at ${iso(heardOf(least)?.watermark ?? 0)}`;
}
