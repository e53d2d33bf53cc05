import { beforeEach, describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { headers, topics } from '../../../schemas/names.ts';
import { SECOND } from '../../../schemas/time.ts';
import { clockRecord, readClock, textOf } from '../../../streams/runtime/clock-record.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { type IngestProcess, ingestProcess, storedProgress } from './process.ts';

describe('a flush of ingest', () => {
  let plane: Plane;
  let moments: string[];
  let process: IngestProcess;

  beforeEach(async () => {
    plane = await createPlane();
    moments = [];
    process = await ingestProcess(plane, { hook: async (moment) => void moments.push(moment) });
  });

  async function tail(topic: 'validated' | 'deadLetters'): Promise<KafkaRecord[]> {
    return (await readTails(plane.kafka, topics[topic](plane.project.prefix, 'trips'), 100)).flat();
  }

  it('sends events, refusals and sections, then sets the progress and drops what was worked', async () => {
    const now = plane.clock.now();
    await plane.append(0, tripStart('good', now), { ...tripStart('bad', now), zone: null });
    await process.poll();
    await process.work();
    expect(moments).toEqual([
      'before sending',
      'after sending',
      'before telling the store',
      'after telling the store',
    ]);
    const [event] = await tail('validated');
    const validated = plane.codecs.validated('trips').decode(event?.value ?? new Uint8Array());
    expect([validated.event.id, validated.offset, validated.arrivedAt]).toEqual(['good', 0, now]);
    const [letter] = await tail('deadLetters');
    const { sourceOffset, eventId, writer } = plane.codecs.deadLetters.decode(
      letter?.value ?? new Uint8Array(),
    );
    expect([sourceOffset, eventId, writer]).toEqual([1, 'bad', 'ingest']);
    expect(process.telemetry.refusals).toHaveLength(1);
    expect((await storedProgress(plane, 0)).next).toBe(2);
    expect([process.own(0).queue.size, process.context.brokerTime]).toEqual([0, now]);
  });

  it('a clock goes to the validated topic after what came before it is acknowledged', async () => {
    const producer = await plane.kafka.producer();
    await plane.append(0, tripStart('before', plane.clock.now()));
    const clock = { time: plane.clock.now() + 5, replay: 'r', kind: 'tick' } as const;
    await producer.send([clockRecord(plane.raw, 0, clock)]);
    await process.poll();
    await process.work();
    expect(moments.filter((moment) => moment === 'before sending')).toHaveLength(2);
    const records = await tail('validated');
    expect(records.map((record) => readClock(record))).toEqual([null, clock]);
    expect(textOf(records[1] as KafkaRecord, headers.sourceOffset)).toBe('1');
    expect((await storedProgress(plane, 0)).clockOpen).toBe(true);
  });

  it('progress that somebody else has set is taken again, and the partition is read from there', async () => {
    await plane.append(0, tripStart('first', plane.clock.now()));
    await process.poll();
    const snapshot = plane.store.snapshot();
    await process.work();
    plane.store.restore(snapshot); // A rollback: the store forgets the flush.
    await plane.append(0, tripStart('second', plane.clock.now()));
    await process.poll();
    await process.work();
    expect([process.own(0).progress.next, process.own(0).queue.size]).toEqual([0, 0]);
    await process.poll();
    await process.work();
    expect((await storedProgress(plane, 0)).next).toBe(2);
    const offsets = (await tail('validated')).map(
      ({ value }) => plane.codecs.validated('trips').decode(value ?? new Uint8Array()).offset,
    );
    expect(offsets).toEqual([0, 1, 0, 1]); // Repeats carry their lineage; readers drop them.
  });

  it('a failed send sets nothing, and what is queued stays', async () => {
    await plane.append(0, tripStart('first', plane.clock.now()));
    await process.poll();
    plane.broker.failNextSend('before');
    await expect(process.work()).rejects.toMatchObject({ code: 'send_failed' });
    expect([(await storedProgress(plane, 0)).next, process.own(0).queue.size]).toEqual([0, 1]);
  });

  it('tells with the progress where the partition is in backlog after it', async () => {
    await plane.append(0, tripStart('first', 100), tripStart('second', 200));
    plane.clock.time += 60 * SECOND;
    await process.poll();
    const one = process.own(0);
    const records = one.queue.first(2);
    one.queue.clear();
    one.queue.add(records.slice(0, 1));
    one.more = false;
    await process.work();
    expect((await storedProgress(plane, 0)).backlogAt).toBeNull();
    one.more = true; // The second one is not fetched yet: the running maximum stands for it.
    await plane.append(0, tripStart('third', 300));
    plane.clock.time += 60 * SECOND;
    await process.poll();
    await process.work();
    expect((await storedProgress(plane, 0)).backlogAt).toBe(300);
  });
});
