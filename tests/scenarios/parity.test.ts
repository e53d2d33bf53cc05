import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HOUR } from '../../schemas/time.ts';
import { testStack } from '../stack.ts';
import { Flights, openFlightsFile } from './flights.ts';
import { expectFullHeads, type Logged, unlikeBackfill, unlikeOracle } from './logged.ts';

const WANTED = 2_000;
const START = Date.UTC(2001, 2, 23);
/** From midnight in Europe to the noon of America's west: some 15,000 events. */
const range = { from: START, to: START + 16 * HOUR };

describe('live, backfilled and naively computed features of real flights', () => {
  let flights: Flights;
  let logged: Logged;

  beforeAll(async () => {
    const stack = await testStack();
    const file = await openFlightsFile();
    flights = new Flights(stack);
    await flights.createTopics();
    await flights.createTables();
    await flights.backfill(file, START);
    await flights.start(['ingest', 'features', 'inference', 'archive']);
    await flights.replay(file, range);
    logged = await flights.logged(file, range);
  });

  afterAll(() => flights?.remove());

  it('answers every departure from its full head', () => {
    expectFullHeads(logged);
  });

  it('gives the same bits live and backfilled', async () => {
    expect(await unlikeBackfill(logged)).toEqual([]);
  });

  it(`agrees with the naive oracle for ${WANTED} random departures`, async () => {
    expect(logged.predictions.length).toBeGreaterThan(WANTED);
    expect(await unlikeOracle(logged, WANTED)).toEqual([]);
  });
});
