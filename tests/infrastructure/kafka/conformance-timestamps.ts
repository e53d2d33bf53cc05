import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MINUTE } from '../../../schemas/time.ts';
import { type Bench, type Foreign, readAll, record } from './harness.ts';

/** Whose clock stamps records: the broker's, or in a topic that others made their producers'. */
export function timestampConformance(bench: Bench, foreign: Foreign): void {
  async function createTimeTopic(): Promise<string> {
    const name = `test-${randomUUID()}`;
    await foreign.createTimeTopic(name);
    bench.undo.push(() => bench.admin.deleteTopics([name]));
    return name;
  }

  describe('timestamps', () => {
    it('are the producers’ own in a topic with CreateTime, and the broker’s once it was told to stamp', async () => {
      const [ours, theirs] = [await bench.topic(), await createTimeTopic()];
      expect(await bench.admin.timestampTypes([ours, theirs])).toEqual(['LogAppendTime', 'CreateTime']);
      const ahead = Date.now() + 50 * MINUTE;
      await foreign.sendAt(theirs, 'before', ahead);

      await bench.admin.stampByBroker(theirs);
      expect(await bench.admin.timestampTypes([theirs, ours])).toEqual(['LogAppendTime', 'LogAppendTime']);
      await foreign.sendAt(theirs, 'after', ahead);

      const [before, after] = await readAll(bench.kafka, theirs, 2);
      expect(before).toMatchObject({ appendTime: ahead, producerStamped: true });
      expect(after?.producerStamped).toBe(false);
      expect(after?.appendTime).toBeLessThan(ahead - 40 * MINUTE);
      await bench.admin.stampByBroker(theirs); // A second time is no error.
    });

    it('a send answers with the time that the broker stamped, and with null where it stamped none', async () => {
      const [ours, theirs] = [await bench.topic(), await createTimeTopic()];
      const producer = await bench.kafka.producer();
      expect(await producer.send([record(theirs, 0, 'a')])).toBeNull();
      expect(await producer.send([record(theirs, 0, 'b'), record(ours, 0, 'b')])).toBeGreaterThan(0);
      await producer.close();
    });

    it('of a topic that is not there are an error, never an answer', async () => {
      const name = `missing-${randomUUID()}`;
      const unknown = { name: 'KafkaError', code: 'unknown_topic' };
      await expect(bench.admin.timestampTypes([name])).rejects.toMatchObject(unknown);
      await expect(bench.admin.stampByBroker(name)).rejects.toMatchObject(unknown);
      expect(await bench.admin.timestampTypes([])).toEqual([]);
    });
  });
}
