import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import type { Scalar, ValidatedEvent } from '../../../schemas/event.ts';
import { topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import { isNew, type Mark } from '../../../streams/archive/marks.ts';
import { type ArchiveTable, archiveTables } from '../../../streams/archive/tables.ts';
import { type Codecs, openCodecs } from '../../../streams/runtime/codecs.ts';
import { prediction } from '../../infrastructure/clickhouse/conformance.ts';
import { trips, tripsProject } from '../../infrastructure/clickhouse/project.ts';

const fields = trips.fields.map((field) => ({ ...field, name: field.name.replace(' ', '_') }));
const project: Project = tripsProject({ ...trips, fields });
let codecs: Codecs;
let tables: ReadonlyMap<string, ArchiveTable>;

beforeAll(async () => {
  codecs = await openCodecs(project, createMemoryRegistry());
  tables = new Map(archiveTables(project, codecs).map((table) => [table.topic, table]));
});

const tableOf = (topic: string): ArchiveTable => {
  const table = tables.get(topic);
  if (table === undefined) throw new Error(`no table of ${topic}`);
  return table;
};
const recordOf = (value: Uint8Array, offset = 11): KafkaRecord => ({
  topic: '',
  partition: 2,
  offset,
  key: null,
  value,
  headers: null,
  appendTime: 1_700_000_000_001,
});
const emptyMark = (): Mark => ({ archived: -1, sources: new Map() });

/** Bytes of the row, or what became of it, by decoding. */
function decoded(table: ArchiveTable, record: KafkaRecord, mark: Mark): string {
  const found = table.decode(record, record.value as Uint8Array);
  if (found === null) return 'none of ours';
  if (!isNew(mark, found.lineage)) return 'repeat';
  table.add(found.row);
  return Buffer.from(table.drain()).toString('hex');
}

function copied(table: ArchiveTable, record: KafkaRecord, mark: Mark): string {
  const result = table.copy?.(record, record.value as Uint8Array, mark);
  const bytes = Buffer.from(table.drain()).toString('hex');
  if (result === 'added') return bytes;
  expect(bytes).toBe('');
  return result ?? 'cannot';
}

const text = fc.string({ unit: 'binary', maxLength: 90 }).map((one) => one.toWellFormed());
const whole = fc.oneof(
  { arbitrary: fc.integer({ min: -100, max: 100 }), weight: 20 },
  { arbitrary: fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), weight: 20 },
  { arbitrary: fc.maxSafeInteger(), weight: 1 },
);
const offset = whole.map(Math.abs);
const double = fc.double({ noNaN: true });
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const events: fc.Arbitrary<ValidatedEvent> = fc.record({
  offset,
  appendTime: whole,
  arrivedAt: orNull(whole),
  event: fc.record({
    id: text,
    type: text,
    time: whole,
    place: orNull(text),
    count: orNull(whole),
    amount: orNull(double),
    good: orNull(fc.boolean()),
    begun_at: orNull(whole),
  }) as fc.Arbitrary<ValidatedEvent['event'] & Record<string, Scalar>>,
});

const predictions: fc.Arbitrary<Prediction> = fc.record({
  format: fc.constant(1),
  id: text,
  requestId: text,
  requestTime: whole,
  status: fc.constantFrom('scored' as const, 'refused' as const),
  reason: orNull(text),
  model: fc.constant('late'),
  modelVersion: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  artefact: text,
  score: orNull(double),
  decision: orNull(fc.boolean()),
  layout: text,
  vector: fc.array(fc.oneof(double, fc.constant(Number.NaN)), { maxLength: 50 }),
  reads: fc.array(
    fc.record({
      read: text,
      view: text,
      entity: text,
      head: whole,
      asOf: whole,
      sketchAsOf: orNull(whole),
      ageMs: whole,
    }),
    { maxLength: 5 },
  ),
  sourceTopic: text,
  sourcePartition: fc.nat(63),
  sourceOffset: offset,
  rawAppendTime: whole,
  waitMs: double,
  readMs: double,
  scoreMs: double,
  absent: fc.array(
    fc.record({ read: text, reason: fc.constantFrom('missing_key' as const, 'stale' as const) }),
    { maxLength: 3 },
  ),
});

const EXACT = 2 ** 52;
const isFar = (value: number | null) => value !== null && Math.abs(value) >= EXACT;

it('a record that somebody else put on an archived topic gives no row, whatever the topic', () => {
  for (const [topic, table] of tables)
    expect(decoded(table, recordOf(Buffer.from('none of ours')), emptyMark()), topic).toBe('none of ours');
});

describe('a row that is copied', () => {
  it('of an event is the row that is decoded and encoded, byte by byte', () => {
    const table = tableOf(topics.validated(project.prefix, 'trips'));
    let rows = 0;
    fc.assert(
      fc.property(events, (event) => {
        const record = recordOf(codecs.validated('trips').encode(event));
        const expected = decoded(table, record, emptyMark());
        const found = copied(table, record, emptyMark());
        if (found === 'other') {
          const { offset, appendTime, arrivedAt } = event;
          const { time, count, begun_at } = event.event as Record<string, number | null>;
          expect([offset, appendTime, arrivedAt, time, count, begun_at].some((n) => isFar(n ?? null))).toBe(
            true,
          );
        } else {
          expect(found).toBe(expected);
          rows += 1;
        }
      }),
      { numRuns: 500 },
    );
    expect(rows).toBeGreaterThan(100);
  });

  it('of a prediction and of a shadow is so too', () => {
    let rows = 0;
    for (const topic of [topics.predictions(project.prefix, 'late'), topics.shadow(project.prefix, 'late')]) {
      const table = tableOf(topic);
      fc.assert(
        fc.property(predictions, (one) => {
          const record = recordOf(codecs.predictions.encode(one));
          const marks = [emptyMark(), emptyMark()] as const;
          const expected = decoded(table, record, marks[0]);
          const found = copied(table, record, marks[1]);
          if (found === 'other') return;
          expect(found).toBe(expected);
          expect(marks[1]).toEqual(marks[0]);
          rows += 1;
        }),
        { numRuns: 400 },
      );
    }
    expect(rows).toBeGreaterThan(100);
  });

  it('with one byte changed, or cut short, is the decoded one or is left to the decoder', () => {
    const cases = [
      [
        tableOf(topics.validated(project.prefix, 'trips')),
        codecs.validated('trips').encode({
          offset: 5,
          appendTime: 1_700_000_000_000,
          arrivedAt: null,
          event: {
            id: 'ä',
            type: 'trip',
            time: 7,
            place: 'ORD',
            count: 3,
            amount: 0.5,
            good: true,
            begun_at: 9,
          },
        }),
      ],
      [
        tableOf(topics.predictions(project.prefix, 'late')),
        codecs.predictions.encode({
          ...prediction,
          vector: [1, 2],
          absent: [{ read: 'origin', reason: 'stale' }],
        }),
      ],
    ] as const;
    let same = 0;
    let left = 0;
    const compare = (table: ArchiveTable, bytes: Uint8Array) => {
      const record = recordOf(bytes);
      const found = copied(table, record, emptyMark());
      if (found === 'other') left += 1;
      else {
        // A NaN has many bit patterns; ours are written as they came.
        const expected = decoded(table, record, emptyMark());
        if (expected !== found) expect(expected.replaceAll('000000000000f87f', '')).not.toBe(expected);
        else same += 1;
      }
    };
    for (const [table, value] of cases) {
      for (let length = 0; length < value.length; length += 1) compare(table, value.slice(0, length));
      compare(table, Buffer.concat([value, Buffer.from([0])]));
      for (let at = 0; at < value.length; at += 1)
        for (const bit of [1, 2, 128, 255]) {
          const changed = Uint8Array.from(value);
          changed[at] = (changed[at] as number) ^ bit;
          compare(table, changed);
        }
    }
    expect(same).toBeGreaterThan(300);
    expect(left).toBeGreaterThan(300);
  });

  it('is written once, and a repeat leaves nothing', () => {
    const table = tableOf(topics.predictions(project.prefix, 'late'));
    const mark = emptyMark();
    const value = codecs.predictions.encode({ ...prediction, sourceOffset: 7 });
    expect(table.copy?.(recordOf(value), value, mark)).toBe('added');
    expect(table.copy?.(recordOf(value, 12), value, mark)).toBe('repeat');
    const earlier = codecs.predictions.encode({ ...prediction, sourceOffset: 6 });
    expect(table.copy?.(recordOf(earlier, 13), earlier, mark)).toBe('repeat');
    const alone = Buffer.from(table.drain()).toString('hex');
    expect(alone).toBe(decoded(table, recordOf(value), emptyMark()));
  });

  it('of another model or of a later format is left to the decoder', () => {
    const table = tableOf(topics.predictions(project.prefix, 'late'));
    for (const other of [{ model: 'latex' }, { format: 2 }])
      expect(
        copied(table, recordOf(codecs.predictions.encode({ ...prediction, ...other })), emptyMark()),
      ).toBe('other');
  });
});
