import { beforeEach, describe, expect, it } from 'vitest';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { boundsOf, readTopic, startOf } from '../../../streams/runtime/topic.ts';
import { record, text } from '../../infrastructure/kafka/harness.ts';
import { steppingClock } from '../clock.ts';

describe('reading a topic from its start to its end', () => {
  let broker: MemoryBroker;
  let kafka: Kafka;

  beforeEach(async () => {
    broker = createMemoryBroker(steppingClock());
    kafka = broker.kafka();
    const admin = await kafka.admin();
    await admin.createTopics([{ name: 't', partitions: 2, retentionMs: -1, compacted: false }]);
  });

  async function send(...values: string[]): Promise<void> {
    await (await kafka.producer()).send(values.map((value) => record('t', 0, value)));
  }

  async function read(): Promise<string[]> {
    const seen: string[] = [];
    await readTopic(kafka, 't', await boundsOf(kafka, 't'), ({ value }) => seen.push(text(value)));
    return seen;
  }

  it('sees every record once, and none that came after the bounds were asked for', async () => {
    await send('a', 'b');
    const bounds = await boundsOf(kafka, 't');
    await send('c');
    const seen: string[] = [];
    await readTopic(kafka, 't', bounds, ({ value }) => seen.push(text(value)));
    expect(seen).toEqual(['a', 'b']);
    expect(await read()).toEqual(['a', 'b', 'c']);
  });

  it.each(['commit', 'abort'] as const)('ends where the topic ends with the marker of a %s', async (end) => {
    await send('a');
    const transaction = broker.transaction();
    transaction.append([record('t', 0, 'b')]);
    transaction[end]();
    expect(await read()).toEqual(end === 'commit' ? ['a', 'b'] : ['a']);
  });

  it('ends before an open transaction', async () => {
    await send('a');
    broker.transaction().append([record('t', 0, 'b')]);
    await send('c');
    expect(await read()).toEqual(['a']);
  });

  it('begins where retention has left the log, and tells where that is', async () => {
    await send('a', 'b', 'c');
    broker.truncate('t', 0, 2);
    expect(await startOf(kafka, 't', 0)).toBe(2);
    expect(await startOf(kafka, 't', 1)).toBe(0);
    expect(await read()).toEqual(['c']);
  });

  it('the tail of a partition is its last offsets, in order', async () => {
    await send('a', 'b', 'c');
    const tails = await readTails(kafka, 't', 2);
    expect(tails.map((tail) => tail.map(({ value }) => text(value)))).toEqual([['b', 'c'], []]);
  });
});
