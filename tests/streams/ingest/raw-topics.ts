import { expect } from 'vitest';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { wallClock } from '../../../platform/platform.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { createArchive } from '../../../streams/archive/archive.ts';
import { type Audit, audit } from '../../../streams/audit/audit.ts';
import { createFeatures } from '../../../streams/features/features.ts';
import { acceptTopic } from '../../../streams/ingest/accept-topic.ts';
import { SILENT } from '../../../streams/runtime/telemetry.ts';
import { payment, type Running, runPayments } from './payments.ts';

/** What happens to raw topics, played on a twin or on a server. */

const several = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => payment(`${prefix}${i}`));

export const codesOf = ({ telemetry }: Running) =>
  telemetry.failures.map((error) => (error as Error & { code?: string }).code);

/**
 * Runs what comes behind ingest, and audits until the books hold: archived to the last row, folded into every view. Answers with the
 * last audit.
 */
export async function audited(
  { project, kafka, store, codecs }: Running,
  warehouse: Warehouse,
): Promise<Audit> {
  await ensureTables(warehouse, project);
  const stopping = new AbortController();
  const deps = { project, kafka, store, codecs, warehouse, clock: wallClock, telemetry: SILENT };
  const running = [createFeatures(deps), createArchive({ ...deps, maxWaitMs: 20 })].map((stream) =>
    stream.run(stopping.signal),
  );
  try {
    for (const deadline = Date.now() + 30_000; ; await wallClock.sleep(200)) {
      const found = await audit({ ...deps, pause: async () => {} });
      if (found.status === 'holds' || Date.now() > deadline) return found;
    }
  } finally {
    stopping.abort();
    await Promise.all(running);
  }
}

/** Waits until ingest has told a failure of this code. */
export async function told(running: Running, code: string): Promise<string> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await wallClock.sleep(50)) {
    const found = running.telemetry.failures.find(
      (error) => (error as Error & { code?: string }).code === code,
    );
    if (found !== undefined) return found.message;
  }
  throw new Error(`${code} was never told; ${JSON.stringify(codesOf(running))} were`);
}

async function deleteRaw({ kafka, raw }: Running): Promise<void> {
  const admin = await kafka.admin();
  await admin.deleteTopics([raw]);
  for (let there = true; there; await wallClock.sleep(50))
    there = (await admin.topics()).some(({ name }) => name === raw);
  await admin.close();
}

const apply = ({ kafka, project }: Running) => applyProject({ project, kafka, declared: [] });
const accept = ({ kafka, project, store }: Running, from: 'start' | 'end') =>
  acceptTopic({ project, kafka, store, clock: wallClock }, 'payments', from);

/** 120 records, stop, delete the raw topic, apply, run, 21 more. */
export async function madeAgainWhileStopped(kafka: Kafka, warehouse: Warehouse): Promise<void> {
  let running = await runPayments(kafka);
  await running.send(...several('a', 120));
  await running.worked(120);
  await running.stop();
  await deleteRaw(running);
  running = await runPayments(kafka, running);
  await running.send(...several('b', 21));
  expect(await told(running, 'raw_topic_changed')).toMatch(
    /partition 0 is not the one that ingest read up to offset 120: .* 'millrace topics accept payments --from start'/,
  );
  expect((await running.worked(120)).accepted).toHaveLength(120);
  expect(await accept(running, 'start')).toEqual([
    { partition: 0, action: 'accepted', offset: 0, countedAs: 120 },
  ]);
  const { accepted } = await running.worked(141);
  expect(accepted.map(({ offset }) => offset)).toEqual(Array.from({ length: 141 }, (_, i) => i));
  expect(accepted.at(-1)?.event.id).toBe('b20');
  await running.stop();

  // The place is kept: a third run goes on behind it.
  running = await runPayments(kafka, running);
  await running.send(payment('c'));
  expect((await running.worked(142)).accepted.at(-1)).toMatchObject({ offset: 141, event: { id: 'c' } });
  expect(await accept(running, 'start')).toMatchObject([{ action: 'kept', offset: 22, countedAs: 142 }]);
  const { findings, sources } = await audited(running, warehouse);
  expect([findings, sources[0]]).toMatchObject([[], { raw: 22, accepted: 142, acceptedRows: 142 }]);
  await running.stop();
}

/** The same under its eyes, with more records than were read before: a copy restored from a mirror, of which only what is new counts. */
export async function restoredWhileRunning(kafka: Kafka): Promise<void> {
  const running = await runPayments(kafka);
  await running.send(...several('a', 5));
  await running.worked(5);
  await wallClock.sleep(1_500); // It has noted which topic it reads.
  await running.send(payment('noted'));
  await running.worked(6);
  await deleteRaw(running);
  await told(running, 'raw_topic_changed');
  await apply(running);
  await running.send(...several('a', 30));
  await wallClock.sleep(3_000);
  expect((await running.worked(6)).accepted).toHaveLength(6);
  expect(await accept(running, 'end')).toMatchObject([{ action: 'accepted', offset: 30, countedAs: 6 }]);
  await wallClock.sleep(1_500);
  await running.send(payment('new'));
  expect((await running.worked(7)).accepted.at(-1)).toMatchObject({ offset: 6, event: { id: 'new' } });
  await running.stop();
}

/** Retention, or DeleteRecords, in front of ingest. */
export async function cutBelow(kafka: Kafka): Promise<void> {
  let running = await runPayments(kafka);
  await running.send(...several('a', 3));
  await running.worked(3);
  await running.stop();
  await running.send(...several('b', 10));
  const admin = await kafka.admin();
  await admin.deleteRecords(running.raw, [{ partition: 0, offset: 9 }]);
  await admin.close();
  running = await runPayments(kafka, running);
  const { accepted } = await running.worked(7);
  expect(accepted.map(({ offset }) => offset)).toEqual([0, 1, 2, 9, 10, 11, 12]);
  expect(await told(running, 'raw_records_lost')).toMatch(
    /lost the offsets 3 to 8 before they were read .* 6 records/,
  );
  await running.stop();
}

/** The raw topic gets a partition while it is read. */
export async function partitionAdded(kafka: Kafka, warehouse: Warehouse): Promise<void> {
  const running = await runPayments(kafka);
  await running.send(payment('a'));
  await running.worked(1);
  const admin = await kafka.admin();
  await admin.addPartitions([{ name: running.raw, partitions: 2 }]);
  await admin.close();
  await running.sendTo(1, payment('b'));
  await running.send(payment('c'));
  expect(await told(running, 'partition_unprepared')).toMatch(
    /partition 1 is not read. Run 'millrace apply'/,
  );
  expect((await running.worked(2)).accepted.map(({ event }) => event.id).sort()).toEqual(['a', 'c']);
  const changes = await apply(running);
  expect(changes.filter(({ action }) => action === 'update').map(({ detail }) => detail)).toEqual([
    'gets 2 partitions; it has 1',
    'gets 2 partitions; it has 1',
  ]);
  const { accepted } = await running.worked(3);
  expect(accepted.map(({ event }) => event.id).sort()).toEqual(['a', 'b', 'c']);
  await running.sendTo(1, payment('d'));
  await running.worked(4);
  const { findings, sources } = await audited(running, warehouse);
  expect([findings, sources[0]]).toMatchObject([[], { raw: 4, accepted: 4, acceptedRows: 4 }]);
  await running.stop();
}
