import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { wallClock } from '../../../platform/platform.ts';
import { isForeign } from '../../../schemas/names.ts';
import { replay } from '../../../streams/replay/replay.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { payment, paymentsFrom, runPayments } from './payments.ts';
import { audited, told } from './raw-topics.ts';

async function makeTopic(kafka: Kafka, name: string): Promise<void> {
  const admin = await kafka.admin();
  await admin.createTopics([{ name, partitions: 1, retentionMs: -1, compacted: false }]);
  await admin.close();
}

/** A topic that held records, and had lost some, before Millrace came: read from its start to a clean audit, and only ever read. */
export async function readFromTheTeamsTopic(kafka: Kafka, warehouse: Warehouse): Promise<void> {
  const topic = `erp.payments-${randomUUID().slice(0, 8)}`;
  await makeTopic(kafka, topic);
  const producer = await kafka.producer();
  const value = (id: string) => Buffer.from(payment(id));
  await producer.send(
    ['old', 'older', 'a', 'b'].map((id) => ({ topic, partition: 0, key: null, value: value(id) })),
  );
  await producer.close();
  const admin = await kafka.admin();
  await admin.deleteRecords(topic, [{ partition: 0, offset: 2 }]);
  const project = paymentsFrom(topic);
  const running = await runPayments(kafka, { project });
  expect(running.raw).toBe(topic);
  expect(isForeign(project.prefix, project.sources[0] ?? { name: '' })).toBe(true);
  await running.send(payment('c'), 'no JSON');
  const { accepted, refused } = await running.worked(4);
  expect(accepted.map(({ event, offset }) => [event.id, offset])).toEqual([
    ['a', 2],
    ['b', 3],
    ['c', 4],
  ]);
  expect(refused).toMatchObject([{ sourceTopic: topic, sourceOffset: 5 }]);
  const found = await audited(running, warehouse);
  expect(found).toMatchObject({ findings: [], status: 'holds' });
  expect(found.sources).toMatchObject([{ raw: 4, accepted: 3, refused: 1, acceptedRows: 3, refusedRows: 1 }]);

  const items = async function* () {
    yield [{ place: 0, time: 0, key: 'k', event: null, bytes: Buffer.from('x') }];
  };
  const deps = { ...running, clock: wallClock };
  const options = { name: 'r', speed: 1, signal: new AbortController().signal };
  await expect(replay(deps, { ...options, source: 'payments', items: items() })).rejects.toMatchObject({
    code: 'replay_refused',
    message: expect.stringContaining(`others read too: 'payments' (${topic})`),
  });
  expect((await readTails(kafka, topic, 1e6)).flat()).toHaveLength(4);
  expect((await admin.topics()).some(({ name }) => name === `${project.prefix}.payments.raw`)).toBe(false);

  await wallClock.sleep(1_500); // It has noted which topic it reads.
  await running.send(payment('noted'));
  await running.worked(5);
  await admin.deleteTopics([topic]);
  expect(await told(running, 'raw_topic_changed')).toMatch(/its owner must make the topic again/);
  await running.stop();
  await admin.close();
}
