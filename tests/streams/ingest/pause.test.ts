import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { wallClock } from '../../../platform/platform.ts';
import { topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import { resumeSource } from '../../../streams/ingest/pause.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { load } from '../../config/project.ts';
import { payment, type Running, runPayments } from './payments.ts';
import { told } from './raw-topics.ts';

const payments = (prefix: string, most: number, rejects: string): Project =>
  load(
    {
      'project.yaml': `name: payments
sources:
  - source: payments
    key: card
    partitions: 2
    out_of_orderness: 5s
    rejects: ${rejects}
    format: {json: {id: id, type: {constant: payment}, time: {path: at, unit: iso}}}
    fields: {card: string, amount: double}
    rules:
      - {name: small, check: amount < ${most}, message: The amount is too large.}
    events:
      payment: {required: [card]}
`,
    },
    { prefix },
  );

const large = (id: string) => payment(id, { amount: 500 });
const broken = 'no json';

describe('a source that refuses more records than it may', () => {
  const begin = (rejects: string, most = 100): Promise<Running> =>
    runPayments(createMemoryBroker(wallClock).kafka(), {
      project: payments(`test-${randomUUID().slice(0, 8)}`, most, rejects),
    });
  const alerts = async ({ kafka, codecs, project }: Running) =>
    (await readTails(kafka, topics.alerts(project.prefix), 100))
      .flat()
      .flatMap(({ value }) => (value === null ? [] : [codecs.alerts.decode(value)]))
      .map(({ rule, state, subject, change }) => [rule, state, subject, change]);
  const resume = ({ project, kafka, store, codecs }: Running) =>
    resumeSource({ project, kafka, store, codecs, clock: wallClock }, 'payments', 'a test said so.');

  it('is paused in front of the one that is too many, in all its partitions, and goes on there', async () => {
    const running = await begin('{at_most: 3}');
    await running.send(payment('a'), large('1'), broken, large('3'), payment('b'), large('4'), payment('c'));
    expect(await told(running, 'source_paused')).toMatch(
      /^The source payments is paused: 3 of its records were refused within 60 s, and the next one would be \(rule_failed: .*millrace sources resume payments/,
    );
    await running.sendTo(1, payment('d'));
    await wallClock.sleep(300);
    const before = await running.worked(5);
    expect(before.accepted.map(({ event }) => event.id)).toEqual(['a', 'b']);
    expect(before.refused.map(({ sourceOffset }) => sourceOffset)).toEqual([1, 2, 3]);
    expect(await alerts(running)).toEqual([['source_paused', 'firing', 'payments', 1]]);

    expect(await resume(running)).toMatchObject({ code: 'rule_failed', rejects: 3 });
    expect(await resume(running)).toBeNull();
    const { accepted, refused } = await running.worked(8);
    expect(accepted.map(({ event }) => event.id).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(refused.map(({ sourceOffset }) => sourceOffset)).toEqual([1, 2, 3, 5]);
    expect((await alerts(running)).at(-1)).toEqual(['source_paused', 'resolved', 'payments', 2]);
    await running.stop();
  });

  it('stays paused over a restart, and goes on by itself once it is declared otherwise', async () => {
    let running = await begin('{at_most: 0}');
    await running.send(large('1'), large('2'));
    await told(running, 'source_paused');
    await running.stop();
    const { telemetry: _, ...same } = running;
    running = await runPayments(running.kafka, same);
    await told(running, 'source_paused');
    await running.stop();
    const mended = payments(running.project.prefix, 1_000, '{at_most: 0}');
    running = await runPayments(running.kafka, { store: running.store, project: mended });
    const { accepted, refused } = await running.worked(2);
    expect([accepted.map(({ event }) => event.id), refused]).toEqual([['1', '2'], []]);
    expect(running.telemetry.failures).toEqual([]);
    await running.stop();
  });

  it('is not paused for late events, nor for refusals that lie further apart', async () => {
    const running = await begin('{at_most: 1, within: 500ms}');
    const old = new Date(Date.now() - 60_000).toISOString();
    await running.send(
      payment('a'),
      ...Array.from({ length: 4 }, (_, i) => payment(`old ${i}`, { at: old })),
    );
    await running.send(broken);
    await running.worked(6);
    await wallClock.sleep(600);
    await running.send(broken);
    expect((await running.worked(7)).refused.map(({ code }) => code)).toEqual([
      ...Array(4).fill('late'),
      'bad_json',
      'bad_json',
    ]);
    expect(running.telemetry.failures).toEqual([]);
    await running.stop();
  });
});
