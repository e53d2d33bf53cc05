import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job, JobData, JobQueue, Lane } from '../../../infrastructure/queue/port.ts';

let names = 0;
const newRun = () => `run@${process.pid}-${names++}`;
const jobOf = (run: string, parts: Partial<Job> & { readonly step?: string } = {}): Job => ({
  id: `${run}.${parts.step ?? 'a'}.1`,
  lane: 'light',
  data: { run, step: parts.step ?? 'a', delivery: 1 },
  delayMs: 0,
  ...parts,
});

async function until(what: () => boolean, withinMs = 8_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!what()) {
    if (Date.now() > end) throw new Error('it did not come to be in time');
    await sleep(10);
  }
}

export interface QueueUnderTest {
  readonly queue: JobQueue;
  /** A second client of the same queue, where there is such a thing. */
  other(): JobQueue;
}

/** What every queue must do: the twin and the real one pass the same. */
export function checkQueue(name: string, open: () => Promise<QueueUnderTest>): void {
  describe(`queue: ${name}`, () => {
    let under: QueueUnderTest;
    let queue: JobQueue;
    beforeAll(async () => {
      under = await open();
      queue = under.queue;
      await queue.ready();
    });
    afterAll(() => queue?.close());

    const collect = async (lane: Lane, concurrency: number, handle: (data: JobData) => Promise<void>) =>
      queue.work({ lane, concurrency, onError: () => undefined }, handle);

    it('hands a job to one worker, and no more once its handler returned', async () => {
      const run = newRun();
      const seen: JobData[] = [];
      const handle = async (data: JobData) => void seen.push(data);
      const workers = [await collect('light', 2, handle), await collect('light', 2, handle)];
      await queue.add([jobOf(run), jobOf(run, { step: 'b' })]);
      await until(() => seen.length === 2);
      await sleep(300);
      expect(seen.map(({ step }) => step).sort()).toEqual(['a', 'b']);
      expect(seen[0]).toMatchObject({ run, delivery: 1 });
      await Promise.all(workers.map((worker) => worker.close()));
    });

    it('takes a job in once while it is there, and again when it is through', async () => {
      const run = newRun();
      let seen = 0;
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const worker = await collect('light', 4, async () => {
        seen += 1;
        await held;
      });
      await queue.add([jobOf(run), jobOf(run)]);
      await until(() => seen === 1);
      await queue.add([jobOf(run)]);
      await sleep(200);
      expect(seen, 'the same id is in hand').toBe(1);
      release();
      await sleep(200);
      await queue.add([jobOf(run)]);
      await until(() => seen === 2);
      await worker.close();
    });

    it('counts the workers of a lane, whoever they belong to', async () => {
      const other = under.other();
      const before = await other.workers('cpu');
      const light = await collect('light', 1, async () => {});
      const workers = [await collect('cpu', 1, async () => {}), await collect('cpu', 1, async () => {})];
      const countTo = async (wanted: number) => {
        for (const end = Date.now() + 8_000; (await other.workers('cpu')) !== wanted; await sleep(20))
          if (Date.now() > end) throw new Error(`there are ${await other.workers('cpu')} workers`);
      };
      await countTo(before + 2);
      await Promise.all([light, ...workers].map((worker) => worker.close()));
      await countTo(before);
    });

    it('keeps the lanes apart, and gives a worker of `cpu` one job at a time', async () => {
      const run = newRun();
      let now = 0;
      let most = 0;
      const order: string[] = [];
      const worker = await collect('cpu', 1, async ({ step }) => {
        now += 1;
        most = Math.max(most, now);
        await sleep(60);
        now -= 1;
        order.push(step);
      });
      await queue.add([
        ...['a', 'b', 'c'].map((step) => jobOf(run, { step, lane: 'cpu' })),
        jobOf(run, { step: 'light' }),
      ]);
      await until(() => order.length === 3);
      expect([...order].sort()).toEqual(['a', 'b', 'c']);
      expect(most).toBe(1);
      await worker.close();
      const light: string[] = [];
      const next = await collect('light', 1, async ({ step }) => void light.push(step));
      await until(() => light.length === 1);
      expect(light).toEqual(['light']);
      await next.close();
    });

    it('waits out a delay', async () => {
      const run = newRun();
      let at = 0;
      const worker = await collect('light', 1, async () => {
        at = Date.now();
      });
      const from = Date.now();
      await queue.add([jobOf(run, { delayMs: 600 })]);
      await until(() => at > 0);
      expect(at - from).toBeGreaterThanOrEqual(590);
      await worker.close();
    });

    it('hands a job out again when its handler threw', async () => {
      const run = newRun();
      let tries = 0;
      const errors: string[] = [];
      const worker = await queue.work(
        { lane: 'light', concurrency: 1, onError: ({ message }) => errors.push(message) },
        async () => {
          tries += 1;
          if (tries < 3) throw new Error('the documents are away');
        },
      );
      await queue.add([jobOf(run)]);
      await until(() => tries === 3);
      await sleep(200);
      expect(tries).toBe(3);
      expect(errors).toEqual(['the documents are away', 'the documents are away']);
      await worker.close();
    });

    it('closes when the jobs in hand are through, and leaves the others', async () => {
      const run = newRun();
      const ended: string[] = [];
      const worker = await collect('light', 1, async ({ step }) => {
        await sleep(150);
        ended.push(step);
      });
      await queue.add([jobOf(run), jobOf(run, { step: 'b' })]);
      await sleep(60);
      await worker.close();
      expect(ended.length).toBeLessThan(2);
      const next = await collect('light', 1, async ({ step }) => void ended.push(step));
      await until(() => ended.length === 2);
      expect([...ended].sort()).toEqual(['a', 'b']);
      await next.close();
    });

    it('changes a document only from what it was', async () => {
      const { documents } = queue;
      const id = newRun();
      expect(await documents.get(id)).toBeNull();
      expect(await documents.set(id, 'x', 'y')).toBe(false);
      expect(await documents.set(id, null, 'é {"a": 1}')).toBe(true);
      expect(await documents.set(id, null, 'z')).toBe(false);
      expect(await documents.get(id)).toBe('é {"a": 1}');
      expect(await documents.set(id, 'é {"a": 1}', '')).toBe(true);
      expect(await documents.set(id, null, 'z'), 'an empty text is one').toBe(false);
      expect((await documents.all()).get(id)).toBe('');
      const rivals = await Promise.all(
        [1, 2, 3, 4].map((n) => under.other().documents.set(id, '', `winner ${n}`)),
      );
      expect(rivals.filter(Boolean)).toHaveLength(1);
      const winner = await documents.get(id);
      expect(await documents.set(id, winner, null)).toBe(true);
      expect((await documents.all()).has(id)).toBe(false);
    });
  });
}
