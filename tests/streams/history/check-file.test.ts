import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inMemory } from '../../../infrastructure/readers/events.ts';
import { IdMemory } from '../../../processors/id-memory.ts';
import { FRESH_PROGRESS, type Progress } from '../../../processors/lateness.ts';
import { partitionOf } from '../../../processors/partition.ts';
import { workSegment } from '../../../processors/segment.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import type { Source } from '../../../schemas/project.ts';
import { MINUTE, SECOND } from '../../../schemas/time.ts';
import { checkerFrom, createFileChecker } from '../../../streams/history/check-file.ts';
import { planOf } from '../ingest/process.ts';
import { createPlane, tripStart } from '../plane.ts';

const plane = await createPlane();
const T = Date.UTC(2026, 0, 1);
const deduplicating = (atMost = 1_000): Source => ({
  ...plane.source,
  deduplicate: { within: 10 * MINUTE, atMost },
});

/** Events of a file in order of time, of a few cars and with few ids, some of them broken. */
const files = fc
  .array(
    fc.record({
      id: fc.integer({ min: 0, max: 40 }),
      car: fc.constantFrom('car-1', 'car-2', 'car-3'),
      gap: fc.integer({ min: 0, max: 90 * SECOND }),
      broken: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
    { maxLength: 120 },
  )
  .map((all) => {
    let time = T;
    return all.map(({ id, car, gap, broken }): EventRecord => {
      time += gap;
      return { ...tripStart(`t${id}`, time), car, ...(broken ? { type: 'trip.lost' } : {}) };
    });
  });

/** What ingest refuses of the same events, replayed: each by its key, without an arrival. */
function byIngest(source: Source, events: readonly EventRecord[]): string[] {
  const plan = { ...planOf(plane), source };
  const partitions = Array.from({ length: source.partitions }, () => ({
    progress: FRESH_PROGRESS as Progress,
    memory: source.deduplicate === null ? null : new IdMemory(source.deduplicate),
  }));
  return events.map((event, offset) => {
    const one = partitions[partitionOf(String(event.car), source.partitions)];
    if (one === undefined) throw new Error('no such partition');
    const record = {
      raw: null,
      offset,
      appendTime: event.time,
      arrivedAt: null,
      event,
      clock: null,
      rejected: null,
    };
    const { segment } = workSegment(plan, one.progress, [record], one.memory);
    one.memory?.keep();
    one.progress = segment.progress;
    return segment.refused[0]?.rejected.code ?? 'taken';
  });
}

describe('a file that is imported', () => {
  it('loses what ingest refuses when the file is replayed, and nothing else', () => {
    fc.assert(
      fc.property(files, fc.integer({ min: 1, max: 30 }), (events, atMost) => {
        const source = deduplicating(atMost);
        const { check } = createFileChecker(source);
        expect(events.map((event, row) => check(event, row)?.code ?? 'taken')).toEqual(
          byIngest(source, events),
        );
      }),
    );
  });

  it('keeps its repeats where the source does not say that they are any', () => {
    const { check } = createFileChecker(plane.source);
    const event = tripStart('t1', T);
    expect([check(event, 0), check(event, 1)]).toEqual([null, null]);
  });

  it('knows what came before the range that is imported, and names the row', async () => {
    const events = [tripStart('t1', T), tripStart('t2', T + MINUTE), tripStart('t1', T + 2 * MINUTE)];
    const file = inMemory('trips', 'a'.repeat(64), events, true);
    const source = deduplicating();
    const checker = await checkerFrom(file, source, T + 2 * MINUTE);
    expect(checker.check(events[2] as EventRecord, 2)).toMatchObject({
      code: 'duplicate',
      detail: expect.stringContaining('"t1" was accepted from row 0 of the file'),
    });
  });

  it('says how many ids it forgot before their time', () => {
    const checker = createFileChecker(deduplicating(10));
    for (let i = 0; i < 1_000; i += 1) checker.check(tripStart(`t${i}`, T), i);
    expect(checker.forgotten()).toBe(990);
  });
});
