import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { Progress } from '../../processors/lateness.ts';
import { rawTopic } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { progressKey, wholeProgress } from '../ingest/progress.ts';
import { type Bounds, boundsOf, ofAnybody, readTopic } from '../runtime/topic.ts';
import type { Books } from './books.ts';

/** Ingest's progress by raw partition, null where the store has none; null without a store. */
export async function readProgress(
  { project, store }: Pick<Books, 'project' | 'store'>,
  { name }: Pick<Source, 'name'>,
  partitions: number,
): Promise<ReadonlyArray<Progress | null> | null> {
  if (store === undefined) return null;
  const found = await store.read(
    Array.from({ length: partitions }, (_, p) => [progressKey(project.prefix, name, p)]),
  );
  return found.map(([bytes = null]) => wholeProgress(bytes));
}

/** A raw topic as ingest counts it: the offsets of one that was made again are counted on. */
export interface CountedLog {
  readonly bounds: Bounds;
  readonly progress: ReadonlyArray<Progress | null> | null;
  read(see: (record: KafkaRecord) => void): Promise<void>;
}

export async function countedLog(books: Books, source: Source): Promise<CountedLog> {
  const { kafka, project, tick } = books;
  const topic = rawTopic(project.prefix, source);
  const own = await boundsOf(kafka, topic);
  const progress = await readProgress(books, source, own.length);
  const shiftOf = (partition: number) => progress?.[partition]?.shift ?? 0;
  return {
    bounds: own.map(({ start, end }, p) => ({ start: start + shiftOf(p), end: end + shiftOf(p) })),
    progress,
    read: (see) =>
      readTopic(
        ofAnybody(kafka),
        topic,
        own,
        (record) => see({ ...record, offset: record.offset + shiftOf(record.partition) }),
        undefined,
        tick,
      ),
  };
}
