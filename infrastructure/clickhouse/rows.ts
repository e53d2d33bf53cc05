import type { EventRecord, FieldType } from '../../schemas/event.ts';
import type { Source } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import type { DeadLetter } from '../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { ALERT_COLUMNS } from './loop-tables.ts';
import { RowBinaryWriter } from './row-binary.ts';
import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, PREDICTION_COLUMNS } from './tables.ts';

/**
 * Rows of the archive as RowBinary. Measured with events of 15 columns: 0.45 us a row here against 1.2 for
 * JSONEachRow, and 1.7 us in the server against 2.6.
 */

export interface EventRow {
  readonly event: EventRecord;
  /** '' where the event came from Kafka. */
  readonly importId: string;
  /** '' for an import. */
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  /** Or the row of the imported file. */
  readonly sourceOffset: number;
  /** Epoch ms. */
  readonly appendTime: number;
  /** When it first arrived at Kafka, epoch ms; null for an import, and where a replay does not say. */
  readonly arrivedAt: number | null;
  /** Place in the topic archived; both -1 for an import. */
  readonly archivedPartition: number;
  readonly archivedOffset: number;
}

export interface Encoder<Row> {
  readonly columns: readonly string[];
  readonly format: 'RowBinary';
  encode(rows: readonly Row[]): Uint8Array;
  /** Adds one row to what the next `drain` gives: so that rows need not be kept as objects until there are enough. */
  add(row: Row): void;
  drain(): Uint8Array;
  /** What `add` writes to, for rows that are copied. */
  readonly writer: RowBinaryWriter;
}

function encoderOf<Row>(
  columns: readonly string[],
  write: (writer: RowBinaryWriter, row: Row) => void,
): Encoder<Row> {
  const writer = new RowBinaryWriter();
  return {
    columns,
    format: 'RowBinary',
    writer,
    add: (row) => write(writer, row),
    drain: () => writer.drain(),
    encode(rows) {
      for (const row of rows) write(writer, row);
      return writer.drain();
    },
  };
}

const names = (columns: ReadonlyArray<{ readonly name: string }>) => columns.map(({ name }) => name);

function writeField(writer: RowBinaryWriter, type: FieldType, value: EventRecord[string] | undefined): void {
  if (!writer.present(value)) return;
  if (type === 'string') writer.string(value as string);
  else if (type === 'double') writer.float64(value as number);
  else if (type === 'bool') writer.byte(value ? 1 : 0);
  else writer.int64(value as number);
}

/** Events of one source into its events table. */
export function eventEncoder(source: Source): Encoder<EventRow> {
  const { fields } = source;
  return encoderOf([...names(EVENT_COLUMNS), ...names(fields)], (writer, row) => {
    const { event } = row;
    writer.string(event.id);
    writer.string(event.type);
    writer.int64(event.time);
    writer.string(row.importId);
    writer.string(row.sourceTopic);
    writer.int32(row.sourcePartition);
    writer.int64(row.sourceOffset);
    writer.int64(row.appendTime);
    writer.int32(row.archivedPartition);
    writer.int64(row.archivedOffset);
    writer.nullableInt64(row.arrivedAt);
    for (const field of fields) writeField(writer, field.type, event[field.name]);
  });
}

export interface PredictionRow {
  readonly prediction: Prediction;
  /** Of the prediction's own record, epoch ms. */
  readonly appendTime: number;
  readonly archivedPartition: number;
  readonly archivedOffset: number;
}

export function predictionEncoder(): Encoder<PredictionRow> {
  return encoderOf(
    names(PREDICTION_COLUMNS),
    (writer, { prediction: one, appendTime, archivedPartition, archivedOffset }) => {
      writer.string(one.id);
      writer.string(one.requestId);
      writer.int64(one.requestTime);
      writer.string(one.status);
      writer.string(one.reason ?? '');
      writer.string(one.model);
      writer.int32(one.modelVersion);
      writer.string(one.artefact);
      writer.nullableFloat64(one.score);
      writer.nullableBool(one.decision);
      writer.string(one.layout);
      writer.varint(one.vector.length);
      for (const value of one.vector) writer.float64(value);
      writer.varint(one.reads.length);
      for (const read of one.reads) {
        writer.string(read.read);
        writer.string(read.view);
        writer.string(read.entity);
        writer.int64(read.head);
        writer.int64(read.asOf);
        writer.nullableInt64(read.sketchAsOf);
        writer.int64(read.ageMs);
      }
      writer.string(one.sourceTopic);
      writer.int32(one.sourcePartition);
      writer.int64(one.sourceOffset);
      writer.int64(one.rawAppendTime);
      writer.int64(appendTime);
      writer.float64(one.waitMs);
      writer.float64(one.readMs);
      writer.float64(one.scoreMs);
      writer.int32(archivedPartition);
      writer.int64(archivedOffset);
      writer.varint(one.absent.length);
      for (const { read, reason } of one.absent) {
        writer.string(read);
        writer.string(reason);
      }
    },
  );
}

export interface DeadLetterRow {
  readonly letter: DeadLetter;
  /** Of the dead letter's own record, epoch ms. */
  readonly refusedTime: number;
  readonly archivedPartition: number;
  readonly archivedOffset: number;
}

export function deadLetterEncoder(): Encoder<DeadLetterRow> {
  return encoderOf(
    names(DEAD_LETTER_COLUMNS),
    (writer, { letter, refusedTime, archivedPartition, archivedOffset }) => {
      writer.string(letter.stage);
      writer.string(letter.code);
      writer.string(letter.detail);
      writer.string(letter.writer);
      writer.string(letter.sourceTopic);
      writer.int32(letter.sourcePartition);
      writer.int64(letter.sourceOffset);
      writer.int64(letter.appendTime);
      writer.nullableString(letter.eventId);
      writer.nullableInt64(letter.eventTime);
      writer.nullableBytes(letter.key);
      writer.nullableBytes(letter.value);
      writer.int64(refusedTime);
      writer.int32(archivedPartition);
      writer.int64(archivedOffset);
      writer.nullableInt64(letter.arrivedAt);
      writer.nullableInt64(letter.valueBytes);
      writer.nullableString(letter.valueSha256);
      writer.nullableInt64(letter.keyBytes);
      writer.nullableString(letter.keySha256);
      writer.varint(letter.headers.length);
      for (const { name, value } of letter.headers) {
        writer.string(name);
        writer.bytes(value);
      }
      writer.nullableInt64(letter.headersBytes);
    },
  );
}

export interface AlertRow {
  readonly alert: Alert;
  readonly archivedPartition: number;
  readonly archivedOffset: number;
}

export function alertEncoder(): Encoder<AlertRow> {
  return encoderOf(names(ALERT_COLUMNS), (writer, { alert, archivedPartition, archivedOffset }) => {
    writer.string(alert.id);
    writer.string(alert.fingerprint);
    writer.int32(alert.change);
    writer.string(alert.rule);
    writer.string(alert.severity);
    writer.string(alert.state);
    writer.string(alert.kind);
    writer.string(alert.statistic);
    writer.string(alert.model);
    writer.int32(alert.version);
    writer.string(alert.subject);
    writer.string(alert.slice);
    writer.nullableFloat64(alert.value);
    writer.nullableFloat64(alert.threshold);
    writer.string(alert.summary);
    writer.int64(alert.tick);
    writer.int64(alert.startedAt);
    writer.nullableInt64(alert.firedAt);
    writer.nullableInt64(alert.endedAt);
    writer.int64(alert.at);
    writer.int32(archivedPartition);
    writer.int64(archivedOffset);
  });
}
