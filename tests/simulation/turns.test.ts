import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { topics } from '../../schemas/names.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { auditViews } from './audited.ts';
import { PARTITIONS, type Payment, payments } from './payments.ts';
import { pick, seeded } from './random.ts';
import { ALL, type StreamName, World } from './world.ts';

/** Until then each payment is sent at its moment, so that partitions count as prompt. */
const PROMPT_MS = 30 * SECOND;
/** Then each partition gets what was collected for it once in this time, one partition after the other. */
const TURN_MS = 60 * SECOND;
const LAYOUTS: ReadonlyArray<ReadonlyArray<readonly StreamName[]>> = [
  [ALL],
  [['ingest'], ['ingest'], ['features', 'inference']],
];

/**
 * One seeded history of payments whose producer writes one partition after the other:
 *
 *   partition 0   xx x xx│    xxxxx                 xxxxx
 *   partition 1   x xxx x│            xxxxx                 xxxxx
 *   partition 2   xx x xx│                    xxxxx                 xxxxx
 *                 prompt │ in turns, each batch at once or in a transaction that commits later
 */
async function turns(seed: number, idleAfter: number | null, transactions: boolean) {
  const random = seeded(seed);
  const world = await World.create({
    directory: fileURLToPath(new URL('./payments', import.meta.url)),
    partitions: PARTITIONS,
    edit: (project) => ({
      ...project,
      sources: project.sources.map((source) => ({ ...source, idleAfter })),
    }),
  });
  const { broker, clock, codecs, project, source } = world;
  const start = clock.now();
  const all = payments({
    random,
    start,
    before: PROMPT_MS,
    away: 0,
    after: 4 * TURN_MS,
    fast: { ms: 0, events: 0 },
  });
  const processes = pick(random, LAYOUTS).map((streams) => world.start(streams));
  const batchOf = ({ at, partition }: Payment): number => {
    if (at < start + PROMPT_MS) return at;
    const turn = start + PROMPT_MS + (partition * TURN_MS) / PARTITIONS;
    return turn + Math.ceil((at - turn) / TURN_MS) * TURN_MS;
  };
  const producer = await broker.kafka().producer();
  const send = async (at: number, batch: readonly Payment[]): Promise<void> => {
    const records = batch.map(({ time, card, country, partition, id, amount }) => ({
      topic: topics.raw(project.prefix, source.name),
      partition,
      key: Buffer.from(card),
      value: codecs.encodeRaw(source.name, { id, type: 'paid', time, card, country, amount }),
    }));
    const inTransaction = transactions && at >= start + PROMPT_MS;
    await clock.sleep(at - clock.now());
    if (!inTransaction) return void (await producer.send(records));
    const aborted = broker.transaction();
    aborted.append(records);
    aborted.abort();
    const transaction = broker.transaction();
    transaction.append(records);
    await clock.sleep(15 * SECOND);
    transaction.commit();
  };
  let sent = false;
  const batches = [...Map.groupBy(all, (one) => `${batchOf(one)} ${one.partition}`).values()];
  void Promise.all(batches.map((batch) => send(batchOf(batch[0] as Payment), batch))).then(() => {
    sent = true;
  });
  await clock.runUntil(() => sent, 20 * MINUTE);
  const settled = clock.now() + (idleAfter ?? 0) + 20 * SECOND;
  await clock.runUntil(() => clock.now() >= settled, 10 * MINUTE);
  let stopped = false;
  void Promise.all(processes.map((process) => process.stop())).then(() => {
    stopped = true;
  });
  await clock.runUntil(() => stopped, MINUTE);
  return {
    sent: all.length,
    accepted: (await world.accepted()).length,
    codes: (await world.deadLetters()).map(({ code }) => code),
    views: await auditViews(world),
  };
}

const seeds = Array.from({ length: Number(process.env.HISTORIES ?? 6) }, (_, i) => i + 1);

describe('partitions that are fed in turns', () => {
  it.each(seeds)(
    'lose nothing where the source says how long a turn takes (seed %i)',
    {
      timeout: 60_000,
    },
    async (seed) => {
      const { sent, accepted, codes, views } = await turns(seed, 90 * SECOND, seed % 2 === 0);
      expect(accepted).toBe(sent);
      expect(codes).toEqual([]);
      for (const view of views)
        expect(view).toMatchObject({ off: [], without: [], waiting: 0, applied: sent });
    },
  );

  it('lose contributions where it does not', async () => {
    const { sent, accepted, codes } = await turns(1, null, false);
    expect(accepted).toBe(sent);
    expect(codes.filter((code) => code === 'late_for_view').length).toBeGreaterThan(sent / 10);
  });
});
