import { gather, readBlocks } from '../../infrastructure/clickhouse/native.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Project } from '../../schemas/project.ts';
import { type Mark, markKey, readMarks } from '../archive/marks.ts';
import type { ArchiveTable } from '../archive/tables.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { boundsOf, readTopic } from '../runtime/topic.ts';

/** What the books are kept of. */
export interface Books {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  /** Tells what ingest has worked (without it: what it has written last), and what views have taken (without it: nothing). */
  readonly store?: OnlineStore;
  /** What the archive keeps. */
  readonly kept: readonly ArchiveTable[];
  /** Told how many records were read. */
  readonly tick: (records: number) => void;
}

/** A record of a raw topic. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** `count` of them, of which the first few are named. */
export interface Found {
  readonly count: number;
  readonly places: readonly Place[];
  /** When the first of them came to pass by the broker's clock, epoch ms; null where that is not known. */
  readonly since?: number | null;
}

/** Most places of a finding that are named. */
const NAMED = 20;

/** SQL for a time, epoch ms. */
export const ms = (column: string) => `toUnixTimestamp64Milli(${column})`;

/** SQL for some places of a group, and what it answers. */
export const PLACES = `arraySort(groupArray(${NAMED})((source_partition, source_offset)))`;
export interface FoundRow {
  readonly count: number;
  readonly since: number;
  readonly places: ReadonlyArray<readonly [partition: number, offset: number]>;
}

/** A row with `PLACES` as a finding; without one nothing was found. */
export function foundOf(row: FoundRow | undefined): Found {
  if (row === undefined || row.count === 0) return { count: 0, places: [], since: null };
  const places = row.places.map(([partition, offset]): Place => ({ partition, offset: Number(offset) }));
  return { count: row.count, places, since: row.since };
}

export class Finding implements Found {
  count = 0;
  readonly places: Place[] = [];
  since: number | null = null;

  /** `at`: epoch ms, broker's clock. */
  add(partition: number, offset: number, at: number | null = null): void {
    this.count += 1;
    if (at !== null) this.since = Math.min(at, this.since ?? at);
    if (this.places.length < NAMED) this.places.push({ partition, offset });
  }
}

/** How often each offset of each partition was seen: one byte an offset. */
export class Tally {
  readonly #partitions: Uint8Array[] = [];
  readonly #last: number[] = [];

  /** Says how often it had been seen before. */
  add(partition: number, offset: number): number {
    if (offset < 0) return 0;
    let seen = this.#partitions[partition] ?? new Uint8Array(1 << 12);
    if (offset >= seen.length) {
      const larger = new Uint8Array(Math.max(seen.length * 2, offset + 1));
      larger.set(seen);
      seen = larger;
    }
    this.#partitions[partition] = seen;
    const before = seen[offset] ?? 0;
    seen[offset] = Math.min(255, before + 1);
    this.#last[partition] = Math.max(this.last(partition), offset);
    return before;
  }

  of(partition: number, offset: number): number {
    return this.#partitions[partition]?.[offset] ?? 0;
  }

  /** Largest offset seen; -1 where none was. */
  last(partition: number): number {
    return this.#last[partition] ?? -1;
  }

  /** How many offsets of a partition were seen. */
  count(partition: number): number {
    let count = 0;
    for (const one of this.#partitions[partition] ?? []) if (one > 0) count += 1;
    return count;
  }

  /** How many offsets were seen. */
  get size(): number {
    let size = 0;
    for (let partition = 0; partition < this.#partitions.length; partition += 1)
      size += this.count(partition);
    return size;
  }
}

/** Raw offsets whose contribution one view partition refused. */
export class ViewLetters {
  readonly all = new Tally();
  readonly tooOld = new Tally();

  /** Says how often it had been refused before. */
  add(code: string, partition: number, offset: number): number {
    if (code === 'too_old') this.tooOld.add(partition, offset);
    return this.all.add(partition, offset);
  }
}

/** Partitions of a topic that the archive has not read to its end; none where it keeps no such topic. */
export async function lagging({ kafka, warehouse, kept }: Books, topic: string): Promise<Set<number>> {
  const table = kept.find((one) => one.topic === topic);
  return table === undefined ? new Set() : unfinishedPartitions(kafka, warehouse, table);
}

/** Partitions of a topic of which the archive has records still to keep (clocks and repeats are none). */
export async function unfinishedPartitions(
  kafka: Kafka,
  warehouse: Warehouse,
  table: ArchiveTable,
): Promise<Set<number>> {
  const bounds = await boundsOf(kafka, table.topic);
  const marks = await readMarks(warehouse, table);
  const none: Mark = { archived: -1, sources: new Map() };
  const found = new Set<number>();
  const see = (record: KafkaRecord): void => {
    if (record.value === null) return;
    const decoded = table.decode(record, record.value);
    if (decoded === null) return;
    const { lineage } = decoded;
    const mark = (marks.get(record.partition) ?? none).sources.get(markKey(lineage)) ?? -1;
    if (lineage.sourceOffset > mark) found.add(record.partition);
  };
  await readTopic(kafka, table.topic, bounds, see, (p) => (marks.get(p) ?? none).archived + 1);
  return found;
}

/** How often each source offset stands in a table (rows of imports apart). */
export async function tallyRows(warehouse: Warehouse, table: string, where: string): Promise<Tally> {
  const tally = new Tally();
  const answer = await warehouse.stream(
    `SELECT source_partition AS p, toFloat64(source_offset) AS o FROM ${quoteName(table)} FINAL WHERE archived_offset >= 0 AND ${where} FORMAT Native`,
  );
  for (const { rows, columns } of readBlocks(await gather(answer))) {
    const partitions = columns[0]?.values as Int32Array;
    const offsets = columns[1]?.values as Float64Array;
    for (let i = 0; i < rows; i++) tally.add(partitions[i] ?? 0, offsets[i] ?? 0);
  }
  return tally;
}
