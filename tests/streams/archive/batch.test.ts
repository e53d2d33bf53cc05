import { describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { type Batch, countRow, drainRows, dueAt, dueOf, emptyBatch } from '../../../streams/archive/batch.ts';
import { addClock, endsWindow, noClocks } from '../../../streams/archive/clocks.ts';
import { isNew, type Mark, resumeAt } from '../../../streams/archive/marks.ts';
import type { ArchiveTable } from '../../../streams/archive/tables.ts';

/** A table whose encoder joins its rows. */
function textTable(topic = 't'): ArchiveTable {
  let rows: unknown[] = [];
  return {
    topic,
    table: topic,
    columns: ['row'],
    format: 'Text',
    lineageSql: { writer: '', partition: '', offset: '' },
    decode: () => ({ lineage: { sourcePartition: 0, sourceOffset: 0, writer: '' }, row: null }),
    add: (row) => void rows.push(row),
    drain() {
      const bytes = Buffer.from(rows.join(' '));
      rows = [];
      return bytes;
    },
  };
}

const record = (partition: number, offset: number): KafkaRecord => ({
  topic: 't',
  partition,
  offset,
  key: null,
  value: Buffer.from('1234'),
  headers: null,
  appendTime: 0,
});

const LIMITS = { maxRows: 3, maxBytes: 100, maxWaitMs: 500 };

describe('a batch', () => {
  it('gives its rows away with a token that names every range and the number of rows', () => {
    const batch = emptyBatch(textTable());
    for (const [partition, offset] of [
      [1, 7],
      [0, 3],
      [1, 9],
    ] as const) {
      batch.table.add(`r${offset}`);
      countRow(batch, record(partition, offset));
    }
    const { bytes, rows, token } = drainRows(batch);
    expect([Buffer.from(bytes).toString(), rows, token]).toEqual(['r7 r3 r9', 3, 't 0:3-3 1:7-9 (3)']);
    expect(drainRows(batch)).toEqual({ bytes: Buffer.from(''), rows: 0, token: 't  (0)' });
  });

  it('begins without rows that its encoder had of another assignment', () => {
    const table = textTable();
    table.add('old');
    emptyBatch(table);
    expect(table.drain().byteLength).toBe(0);
  });

  const waiting = (since: number, rows: number, more: Partial<Batch> = {}): Batch => ({
    ...emptyBatch(textTable()),
    since,
    rows,
    ...more,
  });
  const clocksSince = (since: number, urgent = false) => ({
    list: [{ topic: 't', partition: 0, mark: { time: 0, kind: 'tick', replay: null } as const, offset: 0 }],
    since,
    urgent,
  });

  it('is due when it is full or old enough; sooner where somebody waits for a clock of it', () => {
    expect(dueAt(waiting(1_000, 0), LIMITS)).toBe(Number.POSITIVE_INFINITY);
    expect(dueAt(waiting(1_000, 2), LIMITS)).toBe(1_500);
    expect(dueAt(waiting(1_000, 3), LIMITS)).toBe(0);
    expect(dueAt(waiting(1_000, 1, { bytes: 100 }), LIMITS)).toBe(0);
    expect(dueAt(waiting(1_000, 0, { clocks: clocksSince(1_100) }), LIMITS)).toBe(1_600);
    expect(dueAt(waiting(1_000, 0, { clocks: clocksSince(1_100, true) }), LIMITS)).toBe(1_110);
    expect(dueAt(waiting(1_000, 1, { clocks: clocksSince(1_600, true) }), LIMITS)).toBe(1_500);
  });

  it('takes every pending batch with it where it has clocks: these speak for all tables', () => {
    const rows = waiting(1_000, 1);
    const repeats = waiting(1_000, 0, { moved: true });
    const nothing = waiting(1_000, 0);
    const clocks = waiting(1_000, 0, { clocks: clocksSince(900) });
    expect(dueOf([rows, nothing, repeats], LIMITS, 1_400)).toEqual([repeats]);
    expect(dueOf([rows, nothing, repeats, clocks], LIMITS, 1_400)).toEqual([rows, repeats, clocks]);
    expect(dueOf([rows, nothing, repeats, clocks], LIMITS, 1_399)).toEqual([repeats]);
  });
});

describe('a mark', () => {
  it('takes the first of a lineage, by writer and source partition', () => {
    const mark: Mark = { archived: -1, sources: new Map() };
    const seen = (sourceOffset: number, writer = 'ingest', sourcePartition = 0) =>
      isNew(mark, { sourcePartition, sourceOffset, writer });
    expect([seen(3), seen(3), seen(2), seen(4)]).toEqual([true, false, false, true]);
    expect([seen(3, 'view@1:0'), seen(3, 'ingest', 1)]).toEqual([true, true]);
  });

  it('says where to go on: behind the rows; in an open replay, behind its last clock', () => {
    const mark = { archived: 20, sources: new Map() };
    const clock = (offset: number, open: boolean) => ({ clock: 0, offset, open, at: 0 });
    expect(resumeAt({ ...mark, archived: -1 }, undefined)).toBe(0);
    expect(resumeAt(mark, undefined)).toBe(21);
    expect(resumeAt(mark, clock(10, false))).toBe(21);
    expect(resumeAt(mark, clock(30, false))).toBe(31);
    expect(resumeAt(mark, clock(10, true))).toBe(11);
  });
});

describe('waiting clocks', () => {
  const clock = (kind: 'first' | 'tick' | 'end', offset: number, partition = 0) => ({
    topic: 't',
    partition,
    mark: { time: offset, kind, replay: 'r' },
    offset,
  });

  it('keep the newest tick of a partition, and where a replay begins and ends', () => {
    const waiting = noClocks();
    for (const one of [
      clock('first', 0),
      clock('tick', 1),
      clock('tick', 2),
      clock('tick', 3, 1),
      clock('end', 4),
    ])
      addClock(waiting, one);
    expect(waiting.list.map(({ offset }) => offset)).toEqual([0, 2, 3, 4]);
  });

  it('end a window where they pass a multiple of its length', () => {
    expect(endsWindow([100], 99, 100)).toBe(true);
    expect(endsWindow([100], 100, 199)).toBe(false);
    expect(endsWindow([100, 7], 100, 105)).toBe(true);
    expect(endsWindow([100], Number.NEGATIVE_INFINITY, 5)).toBe(true);
  });
});
