import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';

/** Where an archived record comes from: `writer` gives the offsets of a source partition in ascending order. */
export interface Lineage {
  readonly sourcePartition: number;
  readonly sourceOffset: number;
  /** The model, a version of it that shadows, ingest, the view, version and partition that refused, or an alert. */
  readonly writer: string;
}

export interface Archived<Row> {
  readonly lineage: Lineage;
  readonly row: Row;
}

/** One topic and the table that keeps it. */
export interface ArchiveTable<Row = unknown> {
  readonly topic: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly format: string;
  /** Null where the record is none of ours. */
  decode(record: KafkaRecord, value: Uint8Array): Archived<Row> | null;
  /** Adds a row to what the next `drain` gives. */
  add(row: Row): void;
  /**
   * Decodes and adds in one step, without making an object, where the record's bytes are as Millrace writes them; raises the mark of
   * its lineage. A row at or below the mark is a repeat and is not added. `other`: nothing was done, and the caller decodes the record.
   */
  copy?(record: KafkaRecord, value: Uint8Array, mark: Mark): 'added' | 'repeat' | 'other';
  /** The encoded rows added since the last call; the encoder is empty afterwards. */
  drain(): Uint8Array;
  /** SQL for a row's lineage. */
  readonly lineageSql: { readonly writer: string; readonly partition: string; readonly offset: string };
}

/** What a table holds of one partition of its topic. */
export interface Mark {
  /** Largest offset of the archived topic; -1 where the table has nothing of it. */
  archived: number;
  /** Largest source offset by source partition and writer: what is at or below it is a repeat. */
  readonly sources: Map<string, number>;
}
