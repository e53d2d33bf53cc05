import { groups, topics } from '../../schemas/names.ts';
import { readMarks } from '../archive/marks.ts';
import { boundsOf } from '../runtime/topic.ts';
import type { Books } from './books.ts';
import type { Standing } from './standing.ts';

/** A place that moved against its reader: `at` is where it stands, `other` where it should not be below. */
export interface Misplaced {
  /**
   * `rewound`: the reader's state went back below what it had written. `cut`: the topic now begins behind the reader's place.
   * `changed`: the raw topic of the source `who` was made again, and nobody has decided from where it is read.
   */
  readonly kind: 'rewound' | 'cut' | 'changed';
  readonly who: string;
  readonly topic: string;
  readonly partition: number;
  readonly at: number;
  readonly other: number;
}

/** Largest raw offset that ingest is known to have worked, by source and partition; -1 for none. */
export type Written = ReadonlyMap<string, (partition: number) => number>;

/** Progress below what stands in topics and tables, and states below what features told Kafka, that two looks both find unmoved. */
export function rewindsOf(written: Written, first: Standing, second: Standing): Misplaced[] {
  const key = ({ topic, partition, at }: Misplaced) => `${topic}:${partition}:${at}`;
  const before = new Set(rewoundIn(written, first).map(key));
  return rewoundIn(written, second).filter((one) => before.has(key(one)));
}

export function rewoundIn(written: Written, { raw, views }: Standing): Misplaced[] {
  const ofRaw = raw.flatMap(({ source, topic, partition, progress }): Misplaced[] => {
    const other = (written.get(source.name)?.(partition) ?? -1) + 1;
    if (progress === null || progress.next >= other) return [];
    return [{ kind: 'rewound', who: 'ingest', topic, partition, at: progress.next, other }];
  });
  const ofViews = views.flatMap(({ view, partition, meta, committed }): Misplaced[] => {
    if (meta === null || meta.status !== 'ready' || committed === null || meta.next >= committed) return [];
    return [{ kind: 'rewound', who: 'features', topic: view.id, partition, at: meta.next, other: committed }];
  });
  return [...ofRaw, ...ofViews];
}

/** Readers whose next record has been deleted: what lies between is lost to them. */
export async function cutsOf(books: Books, { raw, views }: Standing): Promise<Misplaced[]> {
  const cuts: Misplaced[] = [];
  const see = (who: string, topic: string, partition: number, at: number, other: number) => {
    if (other > at) cuts.push({ kind: 'cut', who, topic, partition, at, other });
  };
  for (const { source, topic, partition, progress, start, end, topicId } of raw) {
    if (progress === null || progress.next === 0) continue;
    const { next, shift } = progress;
    const other = topicId !== null && progress.topicId !== null && topicId !== progress.topicId;
    if (other || end < next)
      cuts.push({
        kind: 'changed',
        who: source.name,
        topic,
        partition,
        at: next - shift,
        other: end - shift,
      });
    else see('ingest', topic, partition, next, start);
  }
  const { project, kafka, warehouse, kept } = books;
  for (const { view, partition, meta, start } of views)
    if (meta?.status === 'ready')
      see('features', topics.view(project.prefix, view.id), partition, meta.next, start);
  for (const table of kept) {
    const bounds = await boundsOf(kafka, table.topic);
    if (bounds.every(({ start }) => start === 0)) continue;
    const committed = await committedOf(books, groups.archive(project.prefix), table.topic);
    const marks = await readMarks(warehouse, table);
    // Clocks and repeats leave no row: what the archive told Kafka counts as well.
    for (const [p, { start }] of bounds.entries())
      see(
        'the archive',
        table.topic,
        p,
        Math.max((marks.get(p)?.archived ?? -1) + 1, committed[p] ?? 0),
        start,
      );
  }
  for (const { name, request } of project.models) {
    const topic = topics.validated(project.prefix, request.source);
    const committed = await committedOf(books, groups.inference(project.prefix, name), topic);
    for (const [p, { start }] of (await boundsOf(kafka, topic)).entries())
      see(`inference of ${name}`, topic, p, committed[p] ?? start, start);
  }
  return cuts;
}

async function committedOf(
  { kafka }: Books,
  group: string,
  topic: string,
): Promise<ReadonlyArray<number | null>> {
  const admin = await kafka.admin();
  return admin.committed(group, topic).finally(() => admin.close());
}
