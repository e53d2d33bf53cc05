import { expect, it } from 'vitest';
import { type Bench, readAll, record } from './harness.ts';

/** How large a record may be. */
export function sizeConformance(bench: Bench): void {
  it('a topic tells what it takes, and a record beyond that is refused by name', async () => {
    const name = await bench.topic();
    const [limit] = await bench.admin.recordLimits([name]);
    expect(limit).toBe(1_048_588);
    expect(await bench.admin.recordLimits([])).toEqual([]);
    const producer = await bench.kafka.producer();
    await producer.send([record(name, 0, 'x'.repeat((limit ?? 0) - 200))]);
    await expect(
      producer.send([record(name, 0, 'small'), record(name, 0, 'x'.repeat(limit ?? 0))]),
    ).rejects.toMatchObject({
      name: 'RecordTooLarge',
      code: 'record_too_large',
      retriable: false,
      topic: name,
      bytes: expect.any(Number),
    });
    await producer.close();
    expect((await readAll(bench.kafka, name, 1)).map(({ value }) => value?.length)).toContain(
      (limit ?? 0) - 200,
    );
  });
}
