import type { Consumer, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Progress } from '../../processors/lateness.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys, rawTopic } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { isLocalModel } from '../local/is-local.ts';
import { STUCK_AFTER_MS } from '../runtime/backlog.ts';
import { wholeProgress } from './progress.ts';
import type { RawLogs } from './raw-logs.ts';

/** So long after its last event a source counts as active, ms. */
const ACTIVE_MS = 60_000;

/** Where nobody watches the topics. */
const ALL_SAME = { isSame: () => true, learn: () => {} };

/** A source partition that shares a view or a model with ours, ours among them, as the online store last told of it. */
export interface Neighbour extends TopicPartition {
  readonly source: string;
  readonly key: string;
  /** Null where the store has none: never worked, or lost. */
  progress: Progress | null;
  bytes: Uint8Array | null;
  /** It had records that nobody had worked, when that was last asked. */
  unread: boolean;
  /** When `bytes` were last seen to change, by this process' clock. */
  changedAt: number;
}

/** Sources by name, each with the names of all that a chain of views and models ties to it, itself among them. */
export function tiedSources(project: Project): ReadonlyMap<string, ReadonlySet<string>> {
  const sets = new Map(project.sources.map(({ name }) => [name, new Set([name])]));
  const tie = (names: readonly string[]): void => {
    const all = new Set(names.flatMap((name) => [...(sets.get(name) ?? [])]));
    for (const name of all) sets.set(name, all);
  };
  for (const view of project.views) tie(view.sources);
  for (const model of project.models) {
    const read = new Set(model.reads.map(({ view }) => view));
    tie([
      model.request.source,
      ...project.views.filter(({ name }) => read.has(name)).flatMap(({ sources }) => sources),
    ]);
  }
  return sets;
}

/** Whether no view or model looks at two partitions of a source together: then each goes its own way. */
export function isAlone(project: Project, source: string): boolean {
  const views = project.views.filter(({ sources }) => sources.includes(source));
  return (
    views.length > 0 &&
    views.every(({ local }) => local) &&
    project.models
      .filter(({ reads }) => reads.some(({ view }) => views.some(({ name }) => name === view)))
      .every((model) => isLocalModel(project, model))
  );
}

/** What the processes of ingest know of one another: their progress in the online store. */
export class Neighbours {
  readonly #store: Pick<OnlineStore, 'read'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #rawLogs: Pick<RawLogs, 'isSame' | 'learn'>;
  readonly #alone: ReadonlySet<string>;
  readonly #ofSource: ReadonlyMap<string, readonly Neighbour[]>;

  constructor(
    project: Project,
    {
      store,
      clock,
      rawLogs = ALL_SAME,
    }: {
      readonly store: Pick<OnlineStore, 'read'>;
      readonly clock: Pick<Clock, 'now'>;
      readonly rawLogs?: Pick<RawLogs, 'isSame' | 'learn'>;
    },
  ) {
    this.#rawLogs = rawLogs;
    this.#store = store;
    this.#clock = clock;
    const bySource = new Map(
      project.sources.map((source) => [
        source.name,
        Array.from({ length: source.partitions }, (_, partition): Neighbour => {
          const key = keys.ingestProgress(project.prefix, source.name, partition);
          const topic = rawTopic(project.prefix, source);
          return {
            source: source.name,
            topic,
            partition,
            key,
            progress: null,
            bytes: null,
            unread: false,
            changedAt: clock.now(),
          };
        }),
      ]),
    );
    const tied = tiedSources(project);
    this.#alone = new Set(project.sources.map(({ name }) => name).filter((name) => isAlone(project, name)));
    this.#ofSource = new Map(
      project.sources.map(({ name }) => [
        name,
        [...(tied.get(name) ?? [])].flatMap((other) => bySource.get(other) ?? []),
      ]),
    );
  }

  /** All partitions that are tied to a source, its own among them. */
  of(source: string): readonly Neighbour[] {
    return this.#ofSource.get(source) ?? [];
  }

  /** Whether the partitions of a source go each their own way: none waits for another. */
  alone(source: string): boolean {
    return this.#alone.has(source);
  }

  /** Reads the progress of all that are tied to these sources, in one round trip. */
  async look(sources: ReadonlySet<string>): Promise<readonly Neighbour[]> {
    const all = [...new Set([...sources].flatMap((source) => this.of(source)))];
    const found = await this.#store.read(all.map(({ key }) => [key]));
    const now = this.#clock.now();
    for (const [i, neighbour] of all.entries()) {
      const bytes = found[i]?.[0] ?? null;
      if (same(bytes, neighbour.bytes)) continue;
      neighbour.bytes = bytes;
      neighbour.progress = wholeProgress(bytes);
      neighbour.changedAt = now;
      if (neighbour.progress !== null) this.#rawLogs.learn(neighbour, neighbour.progress);
    }
    return all;
  }

  /** Whether anything came lately for a source or for one tied to it. */
  active(source: string): boolean {
    const now = this.#clock.now();
    return this.of(source).some(({ changedAt }) => now - changedAt < ACTIVE_MS);
  }

  /**
   * The event time that a neighbour in backlog has come to; null where it holds nobody. One that has unread records and has not
   * said how far it is stands where its last record was.
   */
  holdsAt({ progress, changedAt, unread }: Neighbour): number | null {
    if (progress === null || this.#clock.now() - changedAt > STUCK_AFTER_MS) return null;
    return progress.backlogAt ?? (unread ? progress.runningMax : null);
  }

  /** Asks the broker which have records that nobody has worked. */
  async markUnread(neighbours: readonly Neighbour[], consumer: Pick<Consumer, 'ends'>): Promise<void> {
    if (neighbours.length === 0) return;
    const ends = await consumer.ends(neighbours);
    for (const [i, neighbour] of neighbours.entries())
      neighbour.unread = (ends[i] ?? 0) > (neighbour.progress?.next ?? 0);
  }

  /** Those that are idle and have records that nobody has worked, as the broker says after this call began. */
  async unread(neighbours: readonly Neighbour[], consumer: Pick<Consumer, 'ends'>): Promise<Neighbour[]> {
    // Of a topic that was made again nothing is read until somebody has decided: nobody waits for that.
    const idle = neighbours.filter(
      (one) => one.progress?.idle === true && this.#rawLogs.isSame(one, one.progress),
    );
    if (idle.length === 0) return [];
    const ends = await consumer.ends(idle);
    return idle.filter(({ progress }, i) => (ends[i] ?? 0) > (progress?.next ?? 0));
  }
}

function same(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}
