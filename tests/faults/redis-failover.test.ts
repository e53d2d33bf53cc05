import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testStack } from '../stack.ts';
import { openBench } from './harness/bench.ts';
import { play, report, type Scenario } from './harness/play.ts';
import { type ManyServers, STORES } from './harness/stores.ts';
import { CLUSTER_STRUCK } from './scenarios.ts';

const SEED = Number(process.env.SEED ?? 1);

/** Live payments through real processes while slots move and servers fail over; Sentinels and more of it: `make test-faults ONLY=redis`. */
describe(`Redis as people run it, seed ${SEED}`, () => {
  async function holds(scenario: Scenario, store: ManyServers): Promise<void> {
    const { registry } = await testStack(['kafka', 'registry']);
    const directory = mkdtempSync(join(tmpdir(), 'millrace-failover-'));
    const bench = await openBench({ directory, registry, brokers: 1, store });
    try {
      const played = await play(bench, scenario, SEED);
      if (played.problems.length > 0) expect.fail(report(played));
      expect(played.facts.requests).toBeGreaterThan(500);
      expect(played.struck.every(({ met }) => met !== null)).toBe(true);
    } finally {
      await bench.close();
    }
  }

  it('a Redis Cluster: slots moved, a primary killed and one hung lose nothing', async () => {
    await holds(CLUSTER_STRUCK, await STORES.cluster());
  }, 300_000);
});
