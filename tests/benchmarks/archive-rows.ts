import { loadProject } from '../../config/load.ts';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { topics } from '../../schemas/names.ts';
import { isNew, type Mark } from '../../streams/archive/marks.ts';
import { type ArchiveTable, archiveTables } from '../../streams/archive/tables.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';

/**
 * Microseconds of CPU a row, from the record of the topic to RowBinary: decoded and encoded, and copied. As JSON, the least of 15 rounds.
 * Run: node tests/benchmarks/archive-rows.ts
 */
const ROWS = 10_000;
const ROUNDS = 15;

const project = loadProject('config', { environment: {} });
const codecs = await openCodecs(project, createMemoryRegistry());
const [source] = project.sources;
const [model] = project.models;
if (source === undefined || model === undefined) throw new Error('the flights have a source and a model');
const tables = new Map(archiveTables(project, codecs).map((table) => [table.topic, table]));
const time = Date.UTC(2001, 2, 23);

const fields = Object.fromEntries(
  source.fields.map(({ name, type }) => [
    name,
    type === 'string' ? 'ORD' : type === 'bool' ? true : type === 'timestamp' ? time : 17,
  ]),
);
const events = Array.from({ length: ROWS }, (_, i) =>
  codecs.validated(source.name).encode({
    offset: i,
    appendTime: time + i,
    arrivedAt: time + i,
    event: { id: `2001-03-23-${i}-d`, type: 'flight.departed', time: time + i, ...fields },
  }),
);
const predictions = Array.from({ length: ROWS }, (_, i) =>
  codecs.predictions.encode({
    format: 1,
    id: `2001-03-23-${i}-d:${model.name}`,
    requestId: `2001-03-23-${i}-d`,
    requestTime: time + i,
    status: 'scored',
    reason: null,
    model: model.name,
    modelVersion: 3,
    artefact: 'f'.repeat(64),
    score: 0.3,
    decision: false,
    layout: model.layoutHash,
    vector: model.features.map((_, f) => f / 7),
    reads: model.reads.map(({ name, view }) => ({
      read: name,
      view: `${view}@12345678`,
      entity: 'ORD LGA',
      head: time,
      asOf: time,
      sketchAsOf: null,
      ageMs: 60_000,
    })),
    sourceTopic: topics.raw(project.prefix, source.name),
    sourcePartition: 1,
    sourceOffset: i,
    rawAppendTime: time,
    waitMs: 1.5,
    readMs: 2.5,
    scoreMs: 0.5,
    absent: [],
  }),
);

function measure(topic: string, values: readonly Uint8Array[]): Record<string, number> {
  const table = tables.get(topic) as ArchiveTable;
  const records = values.map(
    (value, offset): KafkaRecord => ({
      topic,
      partition: 1,
      offset,
      key: null,
      value,
      headers: null,
      appendTime: time,
    }),
  );
  const least = (work: (record: KafkaRecord, value: Uint8Array, mark: Mark) => void): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round += 1) {
      const mark: Mark = { archived: -1, sources: new Map() };
      const before = process.cpuUsage();
      for (const record of records) work(record, record.value as Uint8Array, mark);
      table.drain();
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, (user + system) / values.length);
    }
    return Math.round(best * 100) / 100;
  };
  return {
    decoded: least((record, value, mark) => {
      const found = table.decode(record, value);
      if (found !== null && isNew(mark, found.lineage)) table.add(found.row);
    }),
    copied: least((record, value, mark) => {
      if (table.copy?.(record, value, mark) !== 'added') throw new Error('a row was not copied');
    }),
  };
}

const report = {
  events: measure(topics.validated(project.prefix, source.name), events),
  predictions: measure(topics.predictions(project.prefix, model.name), predictions),
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
