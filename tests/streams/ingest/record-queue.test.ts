import { queryObjects } from 'node:v8';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseRecords, RecordQueue, timeOf } from '../../../streams/ingest/record-queue.ts';
import { decoded } from '../decoded.ts';

function queueOf(times: ReadonlyArray<number | null>): RecordQueue {
  const queue = new RecordQueue();
  queue.add(times.map((time, offset) => decoded(offset, time)));
  return queue;
}

describe('a queue of raw records', () => {
  it('keeps order over additions and drops, and is empty in the end', () => {
    const queue = queueOf([1, 2]);
    queue.add([decoded(2, 3)]);
    expect(queue.first(2).map(({ offset }) => offset)).toEqual([0, 1]);
    queue.drop(1);
    expect([queue.size, queue.at(0)?.offset, queue.at(1)?.offset, queue.at(2)]).toEqual([2, 1, 2, undefined]);
    queue.add([decoded(3, 4)]);
    expect(queue.first(9).map(({ offset }) => offset)).toEqual([1, 2, 3]);
    queue.clear();
    expect([queue.size, queue.at(0)]).toEqual([0, undefined]);
    queue.add([decoded(4, 5)]);
    expect(queue.at(0)?.offset).toBe(4);
  });

  it('lets go of what was worked, though it never runs empty', () => {
    class Fetched extends Uint8Array {}
    const queue = new RecordQueue();
    const held = () => queryObjects(Fetched, { format: 'count' });
    const before = held();
    for (let round = 0; round < 200; round += 1) {
      const records = Array.from({ length: 10 }, (_, i) => decoded(round * 10 + i, i));
      queue.add(records.map((one) => ({ ...one, raw: { ...one.raw, value: new Fetched(1) } })));
      if (round > 0) queue.drop(10);
    }
    expect([queue.size, queue.bytes]).toEqual([10, 10]);
    // The bytes of what is queued, and once as many that wait to go together.
    expect(held() - before).toBeLessThanOrEqual(20);
  });

  it('an event stands at its time, no later than its arrival; what is no event goes at once', () => {
    expect(timeOf(decoded(0, 50))).toBe(50);
    expect(timeOf(decoded(0, 50, { arrivedAt: 40 }))).toBe(40);
    expect(timeOf(decoded(0, 50, { arrivedAt: 60 }))).toBe(50);
    expect(timeOf(decoded(0, null))).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe('which records go next', () => {
  const queues = fc.array(
    fc.record({
      times: fc.array(fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constant(null)), { maxLength: 12 }),
      limit: fc.oneof(fc.integer({ min: -5, max: 105 }), fc.constant(Number.POSITIVE_INFINITY)),
    }),
    { minLength: 1, maxLength: 5 },
  );
  const limited = (drawn: ReadonlyArray<{ times: ReadonlyArray<number | null>; limit: number }>) =>
    drawn.map(({ times, limit }, of) => ({ of, queue: queueOf(times), limit }));
  const timeAt = (queue: RecordQueue, place: number): number => {
    const record = queue.at(place);
    return record === undefined ? Number.POSITIVE_INFINITY : timeOf(record);
  };

  it('are in order within a queue, never above its limit, and never more than asked for', () => {
    fc.assert(
      fc.property(queues, fc.integer({ min: 0, max: 40 }), (drawn, most) => {
        const all = limited(drawn);
        const chosen = chooseRecords(all, most);
        let total = 0;
        for (const [of, count] of chosen) {
          total += count;
          expect(count).toBeGreaterThan(0);
          const { queue, limit } = all[of] as (typeof all)[number];
          expect(count).toBeLessThanOrEqual(queue.size);
          for (let place = 0; place < count; place += 1)
            expect(timeAt(queue, place)).toBeLessThanOrEqual(limit);
        }
        expect(total).toBeLessThanOrEqual(most);
        // With room left, each queue stops at its end or at a record above its limit.
        if (total < most)
          for (const { of, queue, limit } of all) {
            const next = chosen.get(of) ?? 0;
            expect(next === queue.size || timeAt(queue, next) > limit).toBe(true);
          }
      }),
    );
  });

  it('are the least in event time of all heads, one after the other', () => {
    fc.assert(
      fc.property(queues, fc.integer({ min: 0, max: 30 }), (drawn, most) => {
        const all = limited(drawn);
        const before = chooseRecords(all, most);
        const after = chooseRecords(all, most + 1);
        const grown = all.filter(({ of }) => (after.get(of) ?? 0) !== (before.get(of) ?? 0));
        expect(grown.length).toBeLessThanOrEqual(1);
        for (const { of, queue } of grown) {
          expect(after.get(of)).toBe((before.get(of) ?? 0) + 1);
          const time = timeAt(queue, before.get(of) ?? 0);
          for (const other of all) {
            const head = timeAt(other.queue, before.get(other.of) ?? 0);
            if (head <= other.limit) expect(time).toBeLessThanOrEqual(head);
          }
        }
      }),
    );
  });
});
