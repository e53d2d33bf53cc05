import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { readMarks } from '../archive/marks.ts';
import { archiveTables } from '../archive/tables.ts';
import { progressKey, wholeProgress } from '../ingest/progress.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { boundsOf, readTopic } from '../runtime/topic.ts';
import { type Judged, judgeLetters } from './judge.ts';
import type { Fix, Letter } from './letter.ts';
import { type LetterSelection, selectLetters } from './select.ts';

export interface LookDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  /** Wall time, epoch ms. */
  readonly now: number;
}

/** What dead letters of a source would become if their records came again now. Changes nothing. Throws WarehouseError, StoreError, KafkaError. */
export async function lookAtLetters(
  deps: LookDeps,
  source: Source,
  selection: LetterSelection,
  fix: Fix | null = null,
): Promise<Judged<Letter>[]> {
  const { project, store, now } = deps;
  const letters = await selectLetters(deps, source, selection, fix);
  const found = await store.read(
    Array.from({ length: source.partitions }, (_, p) => [progressKey(project.prefix, source.name, p)]),
  );
  const progress = found.map(([bytes = null]) => wholeProgress(bytes));
  const ids = new Set(letters.flatMap(({ decoded }) => decoded?.event?.id ?? []));
  return judgeLetters(letters, { source, progress, accepted: await acceptedOf(deps, source, ids), now });
}

const IDS_A_QUERY = 1_000;

/** Those of some ids that were accepted: as the archive holds them, and as the validated topic does behind what was archived. */
async function acceptedOf(
  { project, kafka, warehouse, codecs }: LookDeps,
  source: Source,
  ids: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const accepted = new Set<string>();
  if (ids.size === 0) return accepted;
  const topic = topics.validated(project.prefix, source.name);
  const table = archiveTables(project, codecs).find((one) => one.topic === topic);
  const marks = table === undefined ? new Map() : await readMarks(warehouse, table);
  const codec = codecs.validated(source.name);
  await readTopic(
    kafka,
    topic,
    await boundsOf(kafka, topic),
    ({ value }) => {
      const id = value === null ? undefined : codec.read(value)?.event.id;
      if (id !== undefined && ids.has(id)) accepted.add(id);
    },
    (partition) => (marks.get(partition)?.archived ?? -1) + 1,
  );
  const all = [...ids];
  for (let at = 0; at < all.length; at += IDS_A_QUERY) {
    const rows = await warehouse.query<{ id: string }>(
      `SELECT DISTINCT id FROM ${quoteName(tables.events(project.prefix, source.name))} WHERE id IN {some:Array(String)}`,
      { some: all.slice(at, at + IDS_A_QUERY) },
    );
    for (const { id } of rows) accepted.add(id);
  }
  return accepted;
}
