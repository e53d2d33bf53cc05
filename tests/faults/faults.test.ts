import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testStack } from '../stack.ts';
import { type Bench, openBench } from './harness/bench.ts';
import { play, report, type Scenario } from './harness/play.ts';
import { playReplay } from './harness/replayed.ts';
import { SERVERS_STRUCK, STREAMS_STRUCK } from './scenarios.ts';

/** The same schedule in each run of the tests; `make test-faults` draws others, and what fails names its seed. */
const SEED = Number(process.env.SEED ?? 1);

/** The short form of `make test-faults`: real processes and servers, struck while good traffic flows. */
describe(`faults, seed ${SEED}`, () => {
  let bench: Bench;

  beforeAll(async () => {
    const { registry } = await testStack(['kafka', 'registry']);
    const directory = mkdtempSync(join(tmpdir(), 'millrace-faults-'));
    bench = await openBench({ directory, registry, brokers: 1 });
  });

  afterAll(() => bench?.close(), 60_000);

  async function holds(scenario: Scenario): Promise<void> {
    const played = await play(bench, scenario, SEED);
    if (played.problems.length > 0) expect.fail(report(played));
    expect(played.facts.requests).toBeGreaterThan(1_000);
    expect(played.struck.every(({ met }) => met !== null)).toBe(true);
  }

  it(
    'processes killed with work in hand, and paused around the moment a partition falls idle, lose nothing',
    () => holds(STREAMS_STRUCK),
    300_000,
  );

  it('servers killed, frozen, cut and emptied lose nothing', () => holds(SERVERS_STRUCK), 300_000);

  it('a replay whose streams are killed gives the bits of an undisturbed one', async () => {
    const kills = ['ingest', 'features', 'inference'] as const;
    const { problems, struck } = await playReplay(bench, { seed: SEED, minutes: 3, kills });
    expect(problems, `seed ${SEED}: ${struck.join(', ')}`).toEqual([]);
    expect(struck.length).toBe(kills.length);
  }, 300_000);
});
