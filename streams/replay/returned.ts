import type { Kafka, KafkaRecord, Reader } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys, rawTopic, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';
import { readClock } from '../runtime/clock-record.ts';
import { wholeMeta } from '../runtime/state.ts';
import { readTails } from '../runtime/tail.ts';
import { READ_BACK } from './raw-topics.ts';

/** How often the states of views are looked at, ms. */
const LOOK_EVERY_MS = 20;

/** A place where events of a source end: a partition of a topic, or of a view that nobody reads. */
export interface EndPlace {
  readonly source: string;
  /** For a person. */
  readonly name: string;
  /** Latest clock that came here, event time; minus infinity before the first. */
  latest: number;
}

interface ReadView {
  readonly view: View;
  readonly partition: number;
  readonly ends: ReadonlyArray<{ readonly raw: string; readonly partitions: number; readonly end: EndPlace }>;
}

export interface ReturnedDeps {
  readonly kafka: Kafka;
  readonly store: Pick<OnlineStore, 'read'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly project: Project;
}

/**
 * The clocks of a replay that came back: how far its events are worked by every stream. A source's clocks end in the predictions of
 * the models that its events ask, or in its validated topic where there is none. A view that no model reads tells by its state how
 * far it has come: it is looked at again and again, so a store that was rolled back only makes it wait.
 */
export class ReturnedClocks {
  readonly #deps: ReturnedDeps;
  readonly #replay: string;
  readonly #topics = new Map<string, EndPlace>();
  readonly #views: readonly ReadView[];
  readonly #ends: readonly EndPlace[];
  #reader: Reader | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** `sources`: those that get clocks. */
  constructor(deps: ReturnedDeps, replay: string, sources: readonly Source[]) {
    this.#deps = deps;
    this.#replay = replay;
    for (const source of sources)
      for (const topic of lastTopics(deps.project, source))
        for (let partition = 0; partition < source.partitions; partition += 1)
          this.#topics.set(`${topic}:${partition}`, endPlace(source, `${topic} partition ${partition}`));
    this.#views = viewsUnread(deps.project, sources);
    this.#ends = [...this.#topics.values(), ...this.#views.flatMap(({ ends }) => ends.map(({ end }) => end))];
  }

  /** Reads what an earlier run under this name got back, and goes on from there. */
  async open(): Promise<void> {
    const { kafka } = this.#deps;
    const positions: Array<{ topic: string; partition: number; position: number | 'earliest' }> = [];
    const names = new Set([...this.#topics.keys()].map((key) => key.slice(0, key.lastIndexOf(':'))));
    for (const topic of names)
      for (const [partition, tail] of (await readTails(kafka, topic, READ_BACK)).entries()) {
        for (const record of tail) this.#take(record);
        const last = tail.at(-1);
        positions.push({ topic, partition, position: last === undefined ? 'earliest' : last.offset + 1 });
      }
    this.#reader = await kafka.reader(positions);
    await this.#look();
  }

  /** The least clock that has come back from everywhere: event time up to there is finished. */
  get finished(): number {
    return this.slowest()?.latest ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the clock of each source has come back from everywhere. */
  reached(timeOf: (source: string) => number): boolean {
    return this.#ends.every(({ source, latest }) => latest >= timeOf(source));
  }

  /** The place that is waited for. */
  slowest(): EndPlace | null {
    let slowest: EndPlace | null = null;
    for (const end of this.#ends) if (slowest === null || end.latest < slowest.latest) slowest = end;
    return slowest;
  }

  async poll(): Promise<void> {
    for (const { records } of (await this.#reader?.poll(5)) ?? [])
      for (const record of records) this.#take(record);
    if (this.#deps.clock.now() - this.#lookedAt >= LOOK_EVERY_MS) await this.#look();
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }

  #take(record: KafkaRecord): void {
    const mark = readClock(record);
    if (mark === null || mark.replay !== this.#replay) return;
    const end = this.#topics.get(`${record.topic}:${record.partition}`);
    if (end !== undefined) end.latest = Math.max(end.latest, mark.time);
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#deps.clock.now();
    if (this.#views.length === 0) return;
    const { project, store } = this.#deps;
    const metas = this.#views.map(({ view, partition }) => [
      keys.meta(keys.viewPartition(project.prefix, view.id, partition)),
    ]);
    const found = await store.read(metas).catch((error: unknown) => {
      // The next look may find the store again; until then nothing more is finished.
      if (!(error instanceof MillraceError) || !error.retriable) throw error;
      return [];
    });
    for (const [i, { view, partition, ends }] of this.#views.entries()) {
      const meta = wholeMeta(found[i]?.[0] ?? null);
      if (meta === null) continue;
      const { sources } = meta;
      for (const { raw, partitions, end } of ends) {
        let least = Number.POSITIVE_INFINITY;
        for (let p = view.local ? partition : 0; p < (view.local ? partition + 1 : partitions); p += 1)
          least = Math.min(least, sources[`${raw}:${p}`]?.runningMax ?? Number.NEGATIVE_INFINITY);
        end.latest = Math.max(end.latest, least);
      }
    }
  }
}

const endPlace = ({ name: source }: Source, name: string): EndPlace => ({
  source,
  name,
  latest: Number.NEGATIVE_INFINITY,
});

/** Where events of the source end: the predictions of its models, or the validated topic where it has none. */
function lastTopics({ prefix, models }: Project, source: Source): string[] {
  const asked = models.filter(({ request }) => request.source === source.name);
  return asked.length === 0
    ? [topics.validated(prefix, source.name)]
    : asked.map(({ name }) => topics.predictions(prefix, name));
}

/** Partitions of views that get events of these sources and that no model reads. */
function viewsUnread({ prefix, views, models }: Project, sources: readonly Source[]): ReadView[] {
  const read = new Set(models.flatMap((model) => model.reads.map(({ view }) => view)));
  return views
    .filter(({ name }) => !read.has(name))
    .flatMap((view) =>
      Array.from({ length: view.partitions }, (_, partition) => ({
        view,
        partition,
        ends: sources
          .filter(({ name }) => view.sources.includes(name))
          .map((source) => ({
            raw: rawTopic(prefix, source),
            partitions: source.partitions,
            end: endPlace(source, `the view ${view.id} partition ${partition}`),
          })),
      })),
    )
    .filter(({ ends }) => ends.length > 0);
}
