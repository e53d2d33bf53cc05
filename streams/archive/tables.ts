import {
  type AlertRow,
  alertEncoder,
  type DeadLetterRow,
  deadLetterEncoder,
  type EventRow,
  eventEncoder,
  type PredictionRow,
  predictionEncoder,
} from '../../infrastructure/clickhouse/rows.ts';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { rawTopic, tables, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { copying, eventRowCopier, predictionRowCopier, versionNames } from './copy.ts';
import type { ArchiveTable } from './table.ts';

export type { ArchiveTable, Lineage } from './table.ts';

const lineageBy = (writer: string) => ({ writer, partition: 'source_partition', offset: 'source_offset' });

const place = (record: KafkaRecord) => ({
  archivedPartition: record.partition,
  archivedOffset: record.offset,
});

function eventsTable(
  project: Project,
  source: Project['sources'][number],
  codecs: Codecs,
): ArchiveTable<EventRow> {
  const encoder = eventEncoder(source);
  const codec = codecs.validated(source.name);
  const sourceTopic = rawTopic(project.prefix, source);
  return {
    ...encoder,
    topic: topics.validated(project.prefix, source.name),
    table: tables.events(project.prefix, source.name),
    lineageSql: lineageBy(`'ingest'`),
    copy: copying(codec.ids, encoder.writer, eventRowCopier(source, sourceTopic)),
    decode(record, value) {
      const validated = codec.read(value);
      if (validated === null) return null;
      const { event, offset, appendTime, arrivedAt } = validated;
      return {
        lineage: { sourcePartition: record.partition, sourceOffset: offset, writer: 'ingest' },
        row: {
          event,
          importId: '',
          sourceTopic,
          sourcePartition: record.partition,
          sourceOffset: offset,
          appendTime,
          arrivedAt,
          ...place(record),
        },
      };
    },
  };
}

function deadLettersTable(project: Project, source: string, codecs: Codecs): ArchiveTable<DeadLetterRow> {
  return {
    ...deadLetterEncoder(),
    topic: topics.deadLetters(project.prefix, source),
    table: tables.deadLetters(project.prefix, source),
    lineageSql: lineageBy('writer'),
    decode(record, value) {
      const letter = codecs.deadLetters.read(value);
      if (letter === null) return null;
      const { sourcePartition, sourceOffset, writer } = letter;
      return {
        lineage: { sourcePartition, sourceOffset, writer },
        row: { letter, refusedTime: record.appendTime, ...place(record) },
      };
    },
  };
}

function predictionsTable(project: Project, model: string, codecs: Codecs): ArchiveTable<PredictionRow> {
  const encoder = predictionEncoder();
  return {
    ...encoder,
    copy: copying(
      codecs.predictions.ids,
      encoder.writer,
      predictionRowCopier(model, () => model),
    ),
    topic: topics.predictions(project.prefix, model),
    table: tables.predictions(project.prefix, model),
    lineageSql: lineageBy('model'),
    decode(record, value) {
      const prediction = codecs.predictions.read(value);
      if (prediction === null) return null;
      const { sourcePartition, sourceOffset, model: writer } = prediction;
      return {
        lineage: { sourcePartition, sourceOffset, writer },
        row: { prediction, appendTime: record.appendTime, ...place(record) },
      };
    },
  };
}

/** Several versions answer the same request, each in the order of its requests. */
function shadowTable(project: Project, model: string, codecs: Codecs): ArchiveTable<PredictionRow> {
  const encoder = predictionEncoder();
  return {
    ...encoder,
    copy: copying(codecs.predictions.ids, encoder.writer, predictionRowCopier(model, versionNames(model))),
    topic: topics.shadow(project.prefix, model),
    table: tables.shadow(project.prefix, model),
    lineageSql: lineageBy(`concat(model, '@', toString(model_version))`),
    decode(record, value) {
      const prediction = codecs.predictions.read(value);
      if (prediction === null) return null;
      const { sourcePartition, sourceOffset } = prediction;
      return {
        lineage: { sourcePartition, sourceOffset, writer: `${prediction.model}@${prediction.modelVersion}` },
        row: { prediction, appendTime: record.appendTime, ...place(record) },
      };
    },
  };
}

/** Nothing but the record says that somebody asked: its own place is its lineage. */
function askedTable(project: Project, model: string, codecs: Codecs): ArchiveTable<PredictionRow> {
  return {
    ...predictionEncoder(),
    topic: topics.asked(project.prefix, model),
    table: tables.asked(project.prefix, model),
    lineageSql: lineageBy('model'),
    decode(record, value) {
      const prediction = codecs.predictions.read(value);
      if (prediction === null) return null;
      const { partition: sourcePartition, offset: sourceOffset } = record;
      return {
        lineage: { sourcePartition, sourceOffset, writer: model },
        row: {
          prediction: { ...prediction, sourcePartition, sourceOffset },
          appendTime: record.appendTime,
          ...place(record),
        },
      };
    },
  };
}

/** An alert counts its changes: 1, 2, ... */
function alertsTable(project: Project, codecs: Codecs): ArchiveTable<AlertRow> {
  return {
    ...alertEncoder(),
    topic: topics.alerts(project.prefix),
    table: tables.alerts(project.prefix),
    lineageSql: { writer: 'fingerprint', partition: '0', offset: 'change' },
    decode(record, value) {
      const alert = codecs.alerts.read(value);
      if (alert === null) return null;
      return {
        lineage: { sourcePartition: 0, sourceOffset: alert.change, writer: alert.fingerprint },
        row: { alert, ...place(record) },
      };
    },
  };
}

/** Everything the archive keeps. */
export function archiveTables(project: Project, codecs: Codecs): readonly ArchiveTable[] {
  return [
    ...project.sources.map((source) => eventsTable(project, source, codecs)),
    ...project.sources.map(({ name }) => deadLettersTable(project, name, codecs)),
    ...project.models.flatMap(({ name }) => [
      predictionsTable(project, name, codecs),
      shadowTable(project, name, codecs),
      askedTable(project, name, codecs),
    ]),
    alertsTable(project, codecs),
  ] as unknown as ArchiveTable[];
}
