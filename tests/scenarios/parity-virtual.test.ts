import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { plant } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { importHistory } from '../../streams/history/import.ts';
import { startFor } from '../../streams/history/past.ts';
import { root } from '../architecture/sources.ts';
import { seeded } from '../simulation/random.ts';
import { ALL, World } from '../simulation/world.ts';
import { openFlightsFile } from './flights.ts';
import { expectFullHeads, type Logged, unlikeBackfill, unlikeOracle, withOnly, withQuiet } from './logged.ts';

/** Enough airports for routes with several flights a day, few enough for a test. */
const AIRPORTS = new Set(['ORD', 'ATL', 'DFW', 'LAX', 'LGA', 'DCA', 'PHX', 'DEN', 'BOS', 'SFO']);
const ASKED = 150;
const START = Date.UTC(2001, 2, 23, 12);
/** Longer than the four hours of the views' slack. */
const quiet = { from: START + 3 * HOUR, to: START + 9 * HOUR };
const range = { from: START, to: START + 12 * HOUR };

interface Variant {
  readonly name: string;
  readonly partitions: number;
  readonly speed: number;
  readonly range: { readonly from: number; readonly to: number };
  /** Every poll ends after a random number of records, and takes a random time. */
  readonly cut?: boolean;
}

const FAST = Number.POSITIVE_INFINITY;
const VARIANTS: readonly Variant[] = [
  { name: 'one partition', partitions: 1, speed: FAST, range },
  { name: 'three partitions, batches cut at random', partitions: 3, speed: FAST, range, cut: true },
  { name: 'eight partitions, batches cut at random', partitions: 8, speed: FAST, range, cut: true },
  {
    name: 'three partitions at 3,600x, batches cut at random',
    partitions: 3,
    speed: 3_600,
    range,
    cut: true,
  },
  {
    name: 'three partitions, ten minutes at 1x',
    partitions: 3,
    speed: 1,
    range: { from: START, to: START + 10 * MINUTE },
    cut: true,
  },
];

/** Real flights over the twins in virtual time, from a state that a backfill made of the days before. */
describe('live = backfill = oracle on the twins', () => {
  let file: HistoryFile;
  let warehouse: MemoryWarehouse;

  beforeAll(async () => {
    const flights = await openFlightsFile();
    file = withQuiet(
      withOnly(
        flights,
        ({ origin, destination }) => AIRPORTS.has(String(origin)) && AIRPORTS.has(String(destination)),
      ),
      quiet,
    );
    warehouse = await createMemoryWarehouse();
    const project = loadProject(join(root, 'config'), { environment: {} });
    const [source] = project.sources;
    if (source === undefined) throw new Error('the flights project has a source');
    await ensureTables(warehouse, project);
    const from = startFor(project.views, START);
    await importHistory({ project, warehouse, source, file, from, to: range.to, now: 1 });
  });

  afterAll(() => warehouse?.close());

  async function run(variant: Variant, seed: number): Promise<Logged> {
    const random = seeded(seed);
    let stepping = false;
    const world = await World.create({
      directory: join(root, 'config'),
      partitions: variant.partitions,
      step: async (_, clock) => {
        if (stepping) await clock.sleep(Math.floor(random() * 4));
      },
      ...(variant.cut === true ? { pollRecords: (asked) => 1 + Math.floor(random() ** 3 * asked) } : {}),
    });
    const { project, store, codecs, source, model } = world;
    await backfillState({ project, warehouse, store, kafka: world.broker.kafka(), codecs, to: START });
    stepping = true;
    const processes = [world.start(ALL), world.start(ALL)];
    let ended = false;
    const items = plant(file, variant.range, {
      source,
      seed,
      each: 0,
      keyOf: (event) => String(event[source.key]),
    });
    const replayed = world.replay(items, 'replay', variant.speed).finally(() => {
      ended = true;
    });
    expect(await world.clock.runUntil(() => ended, 24 * HOUR)).toBe(true);
    const { startedAt, finishedAt } = await replayed;
    if (variant.speed !== FAST)
      expect(finishedAt - startedAt).toBeGreaterThan(
        ((variant.range.to - variant.range.from) / variant.speed) * 0.9,
      );
    let stopped = false;
    void Promise.all(processes.map((process) => process.stop())).then(() => {
      stopped = true;
    });
    await world.clock.runUntil(() => stopped, MINUTE);
    stepping = false;
    const accepted = await world.accepted();
    const { first: predictions, repeats } = await world.predictions();
    expect(repeats).toBe(0);
    expect(await world.deadLetters()).toEqual([]);
    return {
      project,
      model,
      source,
      warehouse,
      file,
      range: variant.range,
      predictions,
      accepted: new Map(accepted.map(({ event }) => [event.id, event])),
    };
  }

  for (const [i, variant] of VARIANTS.entries())
    it(`with ${variant.name}`, async () => {
      const logged = await run(variant, i + 1);
      expectFullHeads(logged);
      expect(await unlikeBackfill(logged)).toEqual([]);
      expect(await unlikeOracle(logged, ASKED)).toEqual([]);
    });
});
