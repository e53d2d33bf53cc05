import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import type { ValidatedEvent } from '../../../schemas/event.ts';
import { answerRecords, positionsAfter } from '../../../streams/inference/answer-records.ts';
import {
  chooseReady,
  type RequestCodec,
  RequestQueue,
  type Waiting,
} from '../../../streams/inference/requests.ts';
import { NEXT_HEADER, OPEN_HEADER, type Resume } from '../../../streams/inference/resume.ts';
import { clockRecord, readClock, textOf } from '../../../streams/runtime/clock-record.ts';
import { createPlane, tripStart } from '../plane.ts';

const plane = await createPlane();
const codec = plane.codecs.validated('trips');
const requests: RequestCodec = {
  codec,
  targetsOf: ({ event }) => (event.type === 'trip.started' ? [] : 'not a request'),
};
const T = Date.UTC(2026, 0, 1);
const DISORDER = 30_000;
const FRESH: Resume = { next: 0, answered: -1, through: -1, replayed: false, shadowed: new Map() };

const queueOf = (resume: Partial<Resume> = {}, partition = 0) =>
  new RequestQueue({ topic: 'validated', partition }, { ...FRESH, ...resume });

const validated = (
  offset: number,
  event: Partial<ValidatedEvent> & { readonly time: number },
): KafkaRecord => ({
  topic: 'validated',
  partition: 0,
  offset,
  key: null,
  headers: null,
  appendTime: T,
  value: codec.encode({
    event: tripStart(`e${event.offset ?? offset}`, event.time),
    offset: event.offset ?? offset,
    appendTime: event.appendTime ?? T,
    arrivedAt: event.arrivedAt ?? null,
  }),
});

const clock = (offset: number, time: number, kind: 'first' | 'tick' | 'end', replay: string | null = 'r') => {
  const { headers: own, ...record } = clockRecord('validated', 0, { time, kind, replay });
  const headers = Object.fromEntries(
    Object.entries(own ?? {}).map(([name, value]) => [name, Buffer.from(value)]),
  );
  return { ...record, offset, headers, appendTime: T };
};

const add = (queue: RequestQueue, ...records: KafkaRecord[]) =>
  queue.add({ topic: 'validated', partition: 0, records, highWatermark: 99 }, requests, T);

function takeAll(queue: RequestQueue): Waiting[] {
  const all: Waiting[] = [];
  for (let head = queue.head(); head !== undefined; head = queue.head()) {
    queue.shift();
    all.push(head);
  }
  return all;
}

describe('a queue of requests', () => {
  it('passes over what was answered before, and repeats that ingest sent again', () => {
    const queue = queueOf({ next: 2, answered: 5 });
    add(
      queue,
      validated(1, { time: T, offset: 5 }),
      validated(2, { time: T, offset: 5 }),
      validated(3, { time: T, offset: 6 }),
      validated(4, { time: T, offset: 6 }),
    );
    expect(takeAll(queue).map(({ offset, request }) => [offset, request?.offset ?? null])).toEqual([
      [2, null],
      [3, 6],
      [4, null],
    ]);
  });

  it('a request is read at its time, no later than its arrival', () => {
    const queue = queueOf();
    add(
      queue,
      validated(0, { time: T + 240_000, arrivedAt: T }),
      validated(1, { time: T - 9, arrivedAt: T }),
    );
    expect(takeAll(queue).map(({ time }) => time)).toEqual([T, T - 9]);
  });

  it('a request that was old when it was first seen is backlog', () => {
    const queue = queueOf();
    add(
      queue,
      validated(0, { time: T, appendTime: T - 2_000 }),
      validated(1, { time: T, appendTime: T - 2_001 }),
    );
    expect(takeAll(queue).map(({ backlog }) => backlog)).toEqual([false, true]);
  });

  it('a replay is open from its first clock until its end; live clocks change nothing', () => {
    const queue = queueOf();
    add(
      queue,
      validated(0, { time: T }),
      clock(1, T, 'first'),
      validated(2, { time: T }),
      clock(3, T, 'tick', null),
      validated(4, { time: T }),
      clock(5, T, 'end'),
      validated(6, { time: T }),
    );
    expect(takeAll(queue).map(({ replayed }) => replayed)).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
    const resumed = queueOf({ replayed: true });
    add(resumed, validated(0, { time: T }));
    expect(resumed.head()?.replayed).toBe(true);
  });
});

/*
 *  answered, acknowledged | under way | waiting ........... | still to come
 *                         least: below all that this partition may ask for, after this process or the next
 */
describe('the least time that a partition may still ask for', () => {
  const steps = fc.array(
    fc.record({
      step: fc.constantFrom('come', 'come', 'take', 'acknowledge', 'poll'),
      jump: fc.integer({ min: 0, max: 20_000 }),
      late: fc.integer({ min: 0, max: DISORDER }),
      wait: fc.integer({ min: 0, max: 5_000 }),
    }),
    { minLength: 5, maxLength: 120 },
  );

  it('is never above any time that is not answered yet, or still to come', () => {
    fc.assert(
      fc.property(steps, fc.boolean(), (drawn, replayed) => {
        const queue = queueOf({ replayed });
        let now = T + 3_600_000;
        // The validated topic: no event is older than the largest time before it less the disorder.
        let newest = T;
        let offset = 0;
        const open: Waiting[] = [];
        const told: number[] = [];
        const waiting: number[] = [];
        for (const { step, jump, late, wait } of drawn) {
          now += wait;
          if (step === 'come') {
            newest = Math.max(newest, Math.min(now, newest + jump));
            const time = Math.max(newest - late, 0);
            for (const least of told) expect(time).toBeGreaterThanOrEqual(least);
            add(queue, validated(offset++, { time, arrivedAt: now }));
            waiting.push(time);
            queue.ended = false;
          } else if (step === 'take') {
            const head = queue.head();
            if (head === undefined) continue;
            queue.shift();
            open.push(head);
          } else if (step === 'acknowledge') {
            const done = open.shift();
            if (done === undefined) continue;
            queue.acknowledge(done);
            waiting.splice(waiting.indexOf(done.time), 1);
          } else queue.ended = true;
          const least = queue.least(DISORDER, newest - DISORDER);
          for (const time of waiting) expect(time).toBeGreaterThanOrEqual(least);
          told.push(least);
        }
      }),
    );
  });

  it('is not known while nothing has come; at the end of a live partition it is that of what comes', () => {
    const queue = queueOf();
    expect(queue.least(DISORDER, T)).toBe(Number.NEGATIVE_INFINITY);
    queue.ended = true;
    expect(queue.least(DISORDER)).toBe(Number.NEGATIVE_INFINITY);
    expect(queue.least(DISORDER, T)).toBe(T - DISORDER);
    const replay = queueOf({ replayed: true });
    replay.ended = true;
    expect(replay.least(DISORDER, T)).toBe(Number.NEGATIVE_INFINITY);
  });

  it('comes forward only when an answer is acknowledged: a crash before that asks again', () => {
    const queue = queueOf();
    add(queue, validated(0, { time: T }), validated(1, { time: T + 100_000 }));
    expect(queue.least(DISORDER, T)).toBe(T - DISORDER);
    const [first] = takeAll(queue);
    expect(queue.least(DISORDER, T)).toBe(Number.NEGATIVE_INFINITY);
    queue.acknowledge(first as Waiting);
    expect(queue.least(DISORDER, T)).toBe(T - DISORDER);
  });
});

describe('what is taken next', () => {
  it('is the earliest head of all partitions, in order within each, and what may not go blocks its own alone', () => {
    const [a, b] = [queueOf({}, 0), queueOf({}, 1)];
    add(a, validated(0, { time: T + 5 }), validated(1, { time: T + 1 }));
    add(b, validated(0, { time: T + 3 }), validated(1, { time: T + 9 }));
    const stopAt9 = ({ time }: Waiting) => time < T + 9;
    const { ready, blocked } = chooseReady([a, b], 10, stopAt9);
    expect(ready.map(({ time, queue }) => [time - T, queue.partition])).toEqual([
      [3, 1],
      [5, 0],
      [1, 0],
    ]);
    expect([blocked, b.size]).toEqual([true, 1]);
    expect(chooseReady([a, b], 0, () => true).ready).toEqual([]);
  });
});

describe('the answers of a batch', () => {
  it('carry on the last record of each partition where to go on, and whether a replay is open', () => {
    const [a, b] = [queueOf({}, 0), queueOf({}, 1)];
    add(a, validated(0, { time: T }), clock(1, T + 1, 'first'), validated(2, { time: T + 2 }));
    add(b, validated(0, { time: T }), { ...validated(1, { time: T + 1 }), offset: 1 });
    const { ready } = chooseReady([a, b], 10, () => true);
    // The last of partition 1 asks for nothing: it is passed over, and not read again.
    const last = ready.findLast(({ queue }) => queue === b);
    const batch = ready.map((item) => (item === last ? { ...item, request: null } : item));
    const encoded = new Map(
      batch.map((item) => [item, { value: Buffer.from(`answer ${item.offset}`), headers: {} }]),
    );
    const records = answerRecords('predictions', batch, encoded);
    const of = (partition: number) => records.filter((record) => record.partition === partition);
    expect(of(0).map(({ value }) => (value === null ? null : Buffer.from(value).toString()))).toEqual([
      'answer 0',
      null,
      'answer 2',
    ]);
    expect(of(0).map(({ headers = {} }) => [headers[NEXT_HEADER], headers[OPEN_HEADER]])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
      ['3', '1'],
    ]);
    expect(of(1).map(({ headers = {} }) => [headers[NEXT_HEADER], headers[OPEN_HEADER]])).toEqual([
      ['2', undefined],
    ]);
    const passed = of(0)[1];
    const asRead = {
      value: null,
      headers: Object.fromEntries(Object.entries(passed?.headers ?? {}).map(([k, v]) => [k, Buffer.from(v)])),
    };
    expect(readClock(asRead)).toEqual({ time: T + 1, kind: 'first', replay: 'r' });
    expect(textOf(asRead, NEXT_HEADER)).toBeNull();
    expect(positionsAfter('validated', batch)).toEqual([
      { topic: 'validated', partition: 0, offset: 3 },
      { topic: 'validated', partition: 1, offset: 2 },
    ]);
  });
});
