import { setTimeout } from 'node:timers/promises';
import type { Progress } from '../../processors/lateness.ts';
import type { ViewMeta } from '../../processors/meta.ts';
import { groups, keys, rawTopic, topics } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { decodeHold } from '../runtime/hold.ts';
import { boundsOf } from '../runtime/topic.ts';
import type { Books } from './books.ts';
import { readMetas } from './metas.ts';
import { readProgress } from './progress.ts';

/** Where a raw partition stands: ingest's progress, and what its topic holds. */
export interface RawStanding {
  readonly source: Source;
  readonly topic: string;
  readonly partition: number;
  readonly progress: Progress | null;
  /** Counted as ingest counts them. */
  readonly start: number;
  readonly end: number;
  /** Null where the broker does not tell. */
  readonly topicId: string | null;
}

/** Where a view partition stands. */
export interface ViewStanding {
  readonly view: View;
  readonly partition: number;
  readonly meta: ViewMeta | null;
  readonly start: number;
  readonly end: number;
  /** What features last told Kafka; null where nothing. */
  readonly committed: number | null;
}

/** What a partition of a model's requests may still ask for, epoch ms; null where it never said. */
export interface ReaderStanding {
  readonly model: Model;
  readonly partition: number;
  readonly least: number | null;
}

/** Where everybody stands at one moment, as the online store and Kafka tell it. */
export interface Standing {
  readonly raw: readonly RawStanding[];
  readonly views: readonly ViewStanding[];
  readonly readers: readonly ReaderStanding[];
}

type Asked = Pick<Books, 'project' | 'kafka' | 'store'>;

/** Who does not move is asked twice, this far apart, ms. */
const LOOK_AGAIN_MS = 3_000;

export const pause = (): Promise<void> => setTimeout(LOOK_AGAIN_MS);

export async function lookAround(asked: Asked): Promise<Standing> {
  const { project } = asked;
  const raw: RawStanding[] = [];
  for (const source of project.sources) {
    const topic = rawTopic(project.prefix, source);
    // State first: what is read next is never behind it.
    const progress = await readProgress(asked, source, source.partitions);
    const bounds = await boundsOf(asked.kafka, topic);
    const admin = await asked.kafka.admin();
    const [facts] = await admin.facts([topic]).finally(() => admin.close());
    for (const [partition, { start, end }] of bounds.entries()) {
      const one = progress?.[partition] ?? null;
      const shift = one?.shift ?? 0;
      const topicId = facts?.id ?? null;
      raw.push({ source, topic, partition, progress: one, start: start + shift, end: end + shift, topicId });
    }
  }
  const views: ViewStanding[] = [];
  for (const view of project.views) views.push(...(await lookAtView(asked, view)));
  return { raw, views, readers: await lookAtReaders(asked, project) };
}

async function lookAtView(asked: Asked, view: View): Promise<ViewStanding[]> {
  const { project, kafka } = asked;
  const topic = topics.view(project.prefix, view.id);
  const admin = await kafka.admin();
  // Kafka is told after the state is set: asked first, it is never ahead of it.
  const committed = await admin
    .committed(groups.features(project.prefix), topic)
    .finally(() => admin.close());
  const metas = await readMetas(asked, view);
  const bounds = await boundsOf(kafka, topic);
  return metas.map((meta, partition) => ({
    view,
    partition,
    meta,
    start: bounds[partition]?.start ?? 0,
    end: bounds[partition]?.end ?? 0,
    committed: committed[partition] ?? null,
  }));
}

async function lookAtReaders({ store }: Asked, project: Project): Promise<ReaderStanding[]> {
  const readers = project.models.flatMap((model) => {
    const source = project.sources.find(({ name }) => name === model.request.source);
    return Array.from({ length: source?.partitions ?? 0 }, (_, partition) => ({ model, partition }));
  });
  const found = await store?.read(
    readers.map(({ model, partition }) => [keys.hold(project.prefix, model.name, partition)]),
  );
  return readers.map((reader, i) => {
    const bytes = found?.[i]?.[0] ?? null;
    return { ...reader, least: bytes === null ? null : decodeHold(bytes) };
  });
}
