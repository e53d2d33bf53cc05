import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { testStack } from '../stack.ts';
import { Flights, openFlightsFile } from './flights.ts';
import { expectFullHeads, type Logged, unlikeBackfill, unlikeOracle, withQuiet } from './logged.ts';

const STREAMS = ['ingest', 'features', 'inference', 'archive'];
const ASKED = 300;
const START = Date.UTC(2001, 2, 23);
/** Longer than the four hours of the views' slack. */
const quiet = { from: START + 2 * HOUR, to: START + 13 * HOUR };
const range = { from: START, to: START + 14 * HOUR };
/** What follows at the speed of the wall clock: times are whole minutes, so the next two of them. */
const minute = { from: range.to, to: range.to + MINUTE + 1 };

/**
 *   00:00 ─ flights ─ 02:00 ─────── nothing ─────── 13:00 ─ flights ─ 14:00 ─ 14:01
 *   └──────────────────── at 3,600x ──────────────────────────────────┘└─ 1x ─┘
 */
describe.concurrent('live = backfill = oracle on real servers', () => {
  const opened: Flights[] = [];
  let file: HistoryFile;

  async function begin(partitions: number): Promise<Flights> {
    const flights = new Flights(await testStack(), partitions);
    opened.push(flights);
    await flights.createTopics();
    await flights.createTables();
    await flights.backfill(file, START);
    await flights.start(STREAMS);
    return flights;
  }

  async function check(logged: Logged): Promise<void> {
    expectFullHeads(logged);
    expect(await unlikeBackfill(logged)).toEqual([]);
    expect(await unlikeOracle(logged, ASKED)).toEqual([]);
  }

  beforeAll(async () => {
    file = withQuiet(await openFlightsFile(), quiet);
  });

  afterAll(() => Promise.all(opened.map((flights) => flights.remove())));

  it('with one partition, as fast as the answers come', async () => {
    const flights = await begin(1);
    await flights.replay(file, range);
    await check(await flights.logged(file, range));
  });

  it('with eight partitions, at 3,600x and then a minute at 1x', { timeout: 600_000 }, async () => {
    const flights = await begin(8);
    const fast = await flights.replay(file, range, { speed: 3_600 });
    expect(fast.finishedAt - fast.startedAt).toBeGreaterThan(((range.to - range.from) / 3_600) * 0.9);
    const slow = await flights.replay(file, minute, { speed: 1, name: 'minute' });
    expect(slow.finishedAt - slow.startedAt).toBeGreaterThan(55_000);
    await check(await flights.logged(file, range));
    await check(await flights.logged(file, minute));
  });
});
