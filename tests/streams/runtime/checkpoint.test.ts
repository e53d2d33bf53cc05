import { beforeEach, describe, expect, it } from 'vitest';
import type { Kafka, OutgoingRecord, Producer } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryStore, type MemoryStore } from '../../../infrastructure/memory/store.ts';
import { progressCommit } from '../../../streams/ingest/progress.ts';
import { Checkpoint, type Flush, type NextOffset } from '../../../streams/runtime/checkpoint.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { record, text } from '../../infrastructure/kafka/harness.ts';
import { type SteppingClock, steppingClock } from '../clock.ts';

/*
 * The commit order: outputs, stage after stage -> state -> offsets. Each test breaks one step and looks at
 * what was sent, what was set and what Kafka was told.
 *
 *   stage 1 ----> stage 2 ----> state ----> offsets
 *      x             x            x            x
 */
describe('a checkpoint', () => {
  let clock: SteppingClock;
  let broker: MemoryBroker;
  let store: MemoryStore;
  let checkpoint: Checkpoint;
  /** What happened, in order. */
  let steps: string[];
  let producers: Array<Producer & { closed: boolean }>;
  let told: NextOffset[][];
  let tellingFails: boolean;
  let closed: boolean;
  /** The next send to this topic fails. */
  let fault: { readonly topic: string; readonly when: 'before' | 'after' } | null;

  beforeEach(async () => {
    clock = steppingClock();
    broker = createMemoryBroker(clock);
    store = createMemoryStore({ now: () => clock.now() });
    [steps, producers, told, tellingFails, closed, fault] = [[], [], [], false, false, null];
    const kafka = broker.kafka();
    const admin = await kafka.admin();
    await admin.createTopics(
      ['first', 'second'].map((name) => ({ name, partitions: 1, retentionMs: -1, compacted: false })),
    );
    checkpoint = new Checkpoint({
      kafka: { producer: () => watched(kafka) },
      store: {
        async commit(commits) {
          steps.push('state');
          return store.commit(commits);
        },
      },
      consumer: {
        async commit(offsets) {
          steps.push('offsets');
          if (tellingFails) throw new Error('the group has moved on');
          told.push([...offsets]);
        },
        async close() {
          closed = true;
        },
      },
      now: () => clock.now(),
    });
  });

  async function watched(kafka: Kafka): Promise<Producer> {
    const producer = await kafka.producer();
    const one = {
      closed: false,
      place: async () => [],
      async send(records: readonly OutgoingRecord[]) {
        steps.push(`send ${records[0]?.topic}`);
        if (fault !== null && records[0]?.topic === fault.topic) {
          broker.failNextSend(fault.when);
          fault = null;
        }
        return producer.send(records);
      },
      async close() {
        one.closed = true;
        await producer.close();
      },
    };
    producers.push(one);
    return one;
  }

  const stage = (name: string, value: string): OutgoingRecord[] => [record(name, 0, value)];
  const at = (partition: number, offset: number): NextOffset => ({ topic: 'raw', partition, offset });
  const set = (key: string, from: string | null, to: string) =>
    progressCommit(`{${key}}`, from === null ? null : Buffer.from(from), Buffer.from(to));

  const batch = (value: string, from: string | null = null): Flush<ReturnType<typeof set>> => ({
    outputs: [stage('first', value), stage('second', value)],
    state: [set('key', from, value)],
    offsets: [at(0, 7)],
  });

  async function sent(): Promise<Record<string, string[]>> {
    const of = async (name: string) =>
      (await readTails(broker.kafka(), name, 100)).flat().map(({ value }) => text(value));
    return { first: await of('first'), second: await of('second') };
  }

  async function state(key = 'key'): Promise<string | null> {
    const [[bytes = null] = []] = await store.read([[`{${key}}`]]);
    return bytes === null ? null : text(bytes);
  }

  it('sends stage after stage, then sets the state, then tells the offsets', async () => {
    const { results, appendTime } = await checkpoint.flush(batch('a'));
    expect(steps).toEqual(['send first', 'send second', 'state', 'offsets']);
    expect(results).toEqual([{ status: 'committed', lengths: [] }]);
    expect(appendTime).toBe(clock.now());
    expect(await sent()).toEqual({ first: ['a'], second: ['a'] });
    expect(await state()).toBe('a');
    expect(told).toEqual([[at(0, 7)]]);
  });

  it('sends nothing for empty stages, and answers with no append time then', async () => {
    const { appendTime, results } = await checkpoint.flush({ outputs: [[], []] });
    expect([appendTime, results, producers.length]).toEqual([null, [], 0]);
  });

  it.each([
    ['before', []],
    ['after', ['a']],
  ] as const)(
    'stage 1 fails %s it was stored: stage 2 is not sent, no state set, nothing told, and the producer is thrown away',
    async (when, stored) => {
      fault = { topic: 'first', when };
      await expect(checkpoint.flush(batch('a'))).rejects.toMatchObject({ code: 'send_failed' });
      expect(steps).toEqual(['send first']);
      expect(await sent()).toEqual({ first: stored, second: [] });
      expect([await state(), told]).toEqual([null, []]);
      expect(producers.map((one) => one.closed)).toEqual([true]);
      // The batch is worked again: with a new producer, whose repeats carry their lineage.
      await checkpoint.flush(batch('a'));
      expect(producers.map((one) => one.closed)).toEqual([true, false]);
      expect(await sent()).toEqual({ first: [...stored, 'a'], second: ['a'] });
      expect(await state()).toBe('a');
    },
  );

  it.each([
    ['before', []],
    ['after', ['a']],
  ] as const)(
    'stage 2 fails %s it was stored: stage 1 stands, no state is set, nothing told, and the producer is thrown away',
    async (when, stored) => {
      await checkpoint.flush({ outputs: [stage('first', '0')] });
      fault = { topic: 'second', when };
      await expect(checkpoint.flush(batch('a'))).rejects.toMatchObject({ code: 'send_failed' });
      expect(await sent()).toEqual({ first: ['0', 'a'], second: stored });
      expect([await state(), told]).toEqual([null, []]);
      expect(producers.map((one) => one.closed)).toEqual([true]);
      await checkpoint.flush(batch('a'));
      expect(producers).toHaveLength(2);
    },
  );

  it('a stage that fails half-way counts as failed: whoever keeps state drops the repeats', async () => {
    const both = [record('first', 0, 'a'), record('second', 0, 'a')];
    broker.failNextSend('partial');
    await expect(checkpoint.flush({ outputs: [both], state: [set('key', null, 'a')] })).rejects.toThrow();
    expect(await sent()).toEqual({ first: ['a'], second: [] });
    expect(await state()).toBeNull();
  });

  it('a state that somebody else set is a conflict: an answer, not an error, and its offset is not told', async () => {
    await store.commit([set('mine', null, '1'), set('theirs', null, '1')]);
    await store.commit([set('theirs', '1', 'other')]);
    const { results } = await checkpoint.flush({
      outputs: [stage('first', 'a')],
      state: [set('mine', '1', '2'), set('theirs', '1', '2')],
      offsets: [at(0, 10), at(1, 20)],
    });
    expect(results.map(({ status }) => status)).toEqual(['committed', 'conflict']);
    expect([await state('mine'), await state('theirs')]).toEqual(['2', 'other']);
    expect(told).toEqual([[at(0, 10)]]);
    expect(await sent()).toEqual({ first: ['a'], second: [] });
    expect(producers.map((one) => one.closed)).toEqual([false]);
  });

  it('a torn state is told, and its offset is not', async () => {
    store.tearNext();
    const { results } = await checkpoint.flush(batch('a'));
    expect(results.map(({ status }) => status)).toEqual(['torn']);
    expect(told).toEqual([]);
  });

  it('closing state is set once all state is set, and before offsets are told', async () => {
    const { closed: closings } = await checkpoint.flush({ ...batch('a'), closing: [set('mark', null, 'a')] });
    expect(steps).toEqual(['send first', 'send second', 'state', 'state', 'offsets']);
    expect(closings.map(({ status }) => status)).toEqual(['committed']);
    expect([await state(), await state('mark')]).toEqual(['a', 'a']);
  });

  it('closing state is not set where any state is in conflict: it would speak for what is not there', async () => {
    await store.commit([set('theirs', null, 'other')]);
    const flushed = await checkpoint.flush({
      state: [set('mine', null, '1'), set('theirs', null, '1')],
      closing: [set('mark', null, 'a')],
    });
    expect([flushed.closed, await state('mine'), await state('mark')]).toEqual([[], '1', null]);
  });

  it('a failure of the closing state is thrown, and nothing is told', async () => {
    const flushing = checkpoint.flush({ ...batch('a'), closing: [set('', null, 'a')] });
    await expect(flushing).rejects.toMatchObject({ name: 'StoreError' });
    expect([await state(), told]).toEqual(['a', []]);
  });

  it.each([
    ['before', null],
    ['after', 'a'],
  ] as const)(
    'the store fails %s it was set: the outputs stand, nothing is told, and the producer is kept',
    async (when, kept) => {
      store.failNext(when);
      await expect(checkpoint.flush(batch('a'))).rejects.toMatchObject({ name: 'StoreError' });
      expect(await sent()).toEqual({ first: ['a'], second: ['a'] });
      expect([await state(), told]).toEqual([kept, []]);
      expect(producers.map((one) => one.closed)).toEqual([false]);
    },
  );

  it('offsets that cannot be told lose nothing: the flush succeeds, and the next report tells them', async () => {
    tellingFails = true;
    await checkpoint.flush(batch('a'));
    expect(await state()).toBe('a');
    tellingFails = false;
    clock.time += 1_000;
    await checkpoint.flush({ offsets: [at(0, 8)] });
    expect(told).toEqual([[at(0, 8)]]);
  });

  it('tells offsets once a second at most, and then the newest of each partition', async () => {
    await checkpoint.flush({ offsets: [at(0, 1), at(1, 5)] });
    await checkpoint.flush({ offsets: [at(0, 2)] });
    await checkpoint.flush({ offsets: [at(0, 3)] });
    expect(told).toEqual([[at(0, 1), at(1, 5)]]);
    clock.time += 1_000;
    await checkpoint.flush({ offsets: [at(1, 6)] });
    expect(told[1]).toEqual([at(0, 3), at(1, 6)]);
  });

  it('what the last flush left untold goes with a later turn, so that a stream at rest shows no lag', async () => {
    await checkpoint.flush({ offsets: [at(0, 1)] });
    await checkpoint.flush({ offsets: [at(0, 2)] });
    checkpoint.report();
    expect(told).toEqual([[at(0, 1)]]);
    clock.time += 1_000;
    checkpoint.report();
    checkpoint.report();
    expect(told).toEqual([[at(0, 1)], [at(0, 2)]]);
  });

  it('when closed it tells where it ended, leaves the group and closes the producer, whatever fails', async () => {
    await checkpoint.flush(batch('a'));
    await checkpoint.flush({ offsets: [at(0, 9)] });
    await checkpoint.close();
    expect([told.at(-1), closed, producers[0]?.closed]).toEqual([[at(0, 9)], true, true]);
    const other = new Checkpoint({
      kafka: broker.kafka(),
      consumer: {
        commit: () => Promise.reject(new Error('away')),
        close: () => Promise.reject(new Error('away')),
      },
      now: () => clock.now(),
    });
    await other.flush({ offsets: [at(0, 1)] });
    await expect(other.close()).resolves.toBeUndefined();
  });

  it('without a store it refuses state', async () => {
    const stateless = new Checkpoint({ kafka: broker.kafka() });
    await expect(stateless.flush({ state: [set('key', null, 'a')] })).rejects.toThrow('keeps no state');
  });
});
