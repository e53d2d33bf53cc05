import {
  type CopiedPrediction,
  copyPrediction,
  eventCopier,
  type Place,
} from '../../infrastructure/clickhouse/copy-rows.ts';
import type { RowBinaryWriter } from '../../infrastructure/clickhouse/row-binary.ts';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { NotAsWritten } from '../../schemas/avro-cursor.ts';
import { WIRE_HEADER, wireId } from '../../schemas/codec.ts';
import type { Source } from '../../schemas/project.ts';
import { isNewAt } from './marks.ts';
import type { ArchiveTable, Mark } from './table.ts';

/** Writes the row of a value that begins at `at`, and says of its lineage whether it is new; null: it is none of ours after all. */
type RowCopier = (
  writer: RowBinaryWriter,
  value: Uint8Array,
  at: number,
  place: Place,
  mark: Mark,
) => boolean | null;

/** `copy` of a table whose records name one of `ids`. A row that is not to stay is cut off again. */
export function copying(
  ids: ReadonlySet<number>,
  writer: RowBinaryWriter,
  copyRow: RowCopier,
): NonNullable<ArchiveTable['copy']> {
  return (record: KafkaRecord, value, mark) => {
    const id = wireId(value);
    if (typeof id !== 'number' || !ids.has(id)) return 'other';
    const before = writer.length;
    let added: boolean | null = null;
    try {
      added = copyRow(writer, value, WIRE_HEADER, record, mark);
    } catch (error) {
      if (!(error instanceof NotAsWritten)) throw error;
    }
    if (added === true) return 'added';
    writer.truncate(before);
    return added === null ? 'other' : 'repeat';
  };
}

export function eventRowCopier(source: Source, sourceTopic: string): RowCopier {
  const copier = eventCopier(source, sourceTopic);
  return (writer, value, at, place, mark) =>
    isNewAt(mark, place.partition, copier.copy(writer, value, at, place), 'ingest');
}

/** `writerOf`: who writes the answers of a version, in the order of their requests. */
export function predictionRowCopier(model: string, writerOf: (version: number) => string): RowCopier {
  const name = Buffer.from(model);
  const known: CopiedPrediction = {
    format: 0,
    modelVersion: 0,
    sourcePartition: 0,
    sourceOffset: 0,
    sameModel: false,
  };
  return (writer, value, at, place, mark) => {
    copyPrediction(writer, value, at, place, name, known);
    if (known.format !== 1 || !known.sameModel) return null;
    return isNewAt(mark, known.sourcePartition, known.sourceOffset, writerOf(known.modelVersion));
  };
}

/** model@version, made once a version. */
export function versionNames(model: string): (version: number) => string {
  const names = new Map<number, string>();
  return (version) => {
    let name = names.get(version);
    if (name === undefined) {
      name = `${model}@${version}`;
      names.set(version, name);
    }
    return name;
  };
}
