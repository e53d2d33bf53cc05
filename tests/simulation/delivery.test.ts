import { describe, expect, it } from 'vitest';
import { checkDelivery as check } from './check-delivery.ts';
import { FAULTS } from './history.ts';

describe('a whole history on the twins', () => {
  it('without faults answers every request from its full head', async () => {
    const { repeats } = await check({ seed: 1, trips: 300, faults: [], faultEveryMs: 1 });
    expect(repeats).toBe(0);
  });

  for (const fault of FAULTS)
    it(`is the same under: ${fault}`, async () => {
      for (let seed = 1; seed <= 6; seed += 1)
        await check({ seed, trips: 150, faults: [fault], faultEveryMs: 150 });
    });

  for (const speed of [60, 3_600])
    it(`is the same at ${speed} times the speed of time`, async () => {
      await check({ seed: 3, trips: 100, faults: ['kill', 'rollback'], faultEveryMs: 5_000, speed });
    });

  it('is the same under all of them together', { timeout: 300_000 }, async () => {
    for (let seed = 100; seed < 130; seed += 1)
      await check({
        seed,
        trips: 120,
        faults: FAULTS,
        faultEveryMs: 120,
        partitions: [1, 3, 8][seed % 3] ?? 3,
        layout:
          seed % 2 === 0
            ? [['ingest', 'features', 'inference']]
            : [['ingest', 'features', 'inference'], ['ingest', 'inference'], ['features']],
      });
  });
});
