import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { createRandom } from '../../../models/random.ts';
import type { DataSet } from '../../../pipelines/training/dataset.ts';
import { readRun, readRuns } from '../../../pipelines/training/runs-read.ts';
import { NothingTuned, type TuneOptions, tune } from '../../../pipelines/tuning/tuning.ts';
import type { Model } from '../../../schemas/project.ts';
import type { SearchSpace } from '../../../schemas/search.ts';

const space: SearchSpace = {
  parameters: {
    learningRate: { kind: 'real', low: 1e-4, high: 0.3, log: true },
    rounds: { kind: 'choice', values: [40] },
    leaves: { kind: 'whole', low: 2, high: 32, log: true },
  },
  trials: 9,
  seed: 3,
  budget: 60_000,
  eta: 3,
  minShare: 0.1,
};

/** Rows whose label follows a curve of two of five features. */
function rowsOf(n: number, width: number): DataSet {
  const random = createRandom(1);
  const rows = Float64Array.from({ length: n * width }, () => random.next() * 2 - 1);
  const at = (row: number, f: number) => rows[row * width + f] ?? 0;
  return {
    ids: Array.from({ length: n }, (_, i) => `r${i}`),
    times: Float64Array.from({ length: n }, (_, i) => i),
    rows,
    labels: Uint8Array.from({ length: n }, (_, i) =>
      at(i, 0) * at(i, 1) + 0.2 * random.next() > 0.1 ? 1 : 0,
    ),
    cells: new Int16Array(n),
    logged: 0,
    backfilled: n,
    untold: 0,
    query: '',
    from: 0,
    to: n,
    hash: 'c'.repeat(64),
  };
}

let warehouse: MemoryWarehouse;
let options: TuneOptions;
beforeAll(async () => {
  const project = loadProject(resolve('tests/simulation/project'), { environment: {}, prefix: 'tuning' });
  const [declared] = project.models;
  if (declared === undefined) throw new Error('the project has a model');
  const model: Model = {
    ...declared,
    features: declared.features.slice(0, 5),
    trainer: { name: 'trees', parameters: { rounds: 40 } },
    search: space,
  };
  warehouse = await createMemoryWarehouse();
  await ensureTables(warehouse, project);
  options = {
    warehouse,
    prefix: project.prefix,
    codeVersion: 'test',
    now: Date.now,
    model,
    training: rowsOf(1_500, 5),
    space,
    workers: 1,
  };
});
afterAll(() => warehouse?.close());

const losses = (result: Awaited<ReturnType<typeof tune>>) =>
  result.trials.map(({ trial, rung, loss }) => [trial, rung, loss]);

describe('tuning', () => {
  let whole: Awaited<ReturnType<typeof tune>>;

  it('tries points of the space, keeps each trial as a run, and finds better than the worst by far', async () => {
    const seen: number[] = [];
    whole = await tune({ ...options, progress: ({ done }) => seen.push(done) });
    expect(whole.trials.filter(({ rung }) => rung === 0)).toHaveLength(9);
    expect(whole.trials.length).toBeGreaterThan(9);
    expect(whole).toMatchObject({ known: 0, outOfTime: false });
    expect(seen).toEqual(whole.trials.map((_, i) => i + 1));
    const first = whole.trials.filter(({ rung }) => rung === 0).map(({ loss }) => loss);
    expect(whole.best.loss).toBeLessThan(Math.max(...first) - 0.05);
    const runs = await readRuns(warehouse, options.prefix, { parent: whole.id, kind: 'trial' });
    expect(runs).toHaveLength(whole.trials.length);
    const kept = await readRun(warehouse, options.prefix, whole.id);
    expect(kept).toMatchObject({ kind: 'tune', state: 'done', loss: whole.best.loss });
    expect(kept?.parameters).toMatchObject(whole.best.parameters as object);
  });

  it('knows all of it when it is asked again, and says the same', async () => {
    const again = await tune(options);
    expect(again.known).toBe(whole.trials.length);
    expect(losses(again)).toEqual(losses(whole));
    expect(again.best).toEqual(whole.best);
  });

  it('ends as it would have where it was interrupted and goes on', async () => {
    const other = { ...options, training: { ...options.training, hash: 'd'.repeat(64) } };
    const stop = new AbortController();
    const interrupted = tune({
      ...other,
      signal: stop.signal,
      progress: ({ done }) => {
        if (done === 5) stop.abort();
      },
    });
    await expect(interrupted).rejects.toThrow(/abort/i);
    const resumed = await tune(other);
    expect(resumed.known).toBe(5);
    expect(losses(resumed), 'the same rows under another name').toEqual(losses(whole));
    const parallel = await tune({
      ...other,
      training: { ...other.training, hash: 'e'.repeat(64) },
      workers: 3,
    });
    const started = (result: typeof parallel) =>
      result.trials
        .filter(({ rung }) => rung === 0)
        .map(({ trial, loss }) => [trial, loss])
        .sort();
    expect(started(parallel), 'several threads try the same points').toEqual(started(whole));
  });

  it('keeps to its time', async () => {
    const training = { ...options.training, hash: 'f'.repeat(64) };
    const began = performance.now();
    const late = tune({ ...options, training, space: { ...space, trials: 50_000, budget: 5_000 } });
    const result = await late;
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(result.outOfTime).toBe(true);
    expect(result.trials.length).toBeGreaterThan(0);
    const cut = await readRuns(warehouse, options.prefix, { parent: result.id, state: 'failed' });
    for (const { error } of cut) expect(error).toMatch(/time was over .* it counts as not tried/);
    const none = tune({
      ...options,
      training: { ...training, hash: '0'.repeat(64) },
      space: { ...space, budget: 1 },
    });
    await expect(none).rejects.toBeInstanceOf(NothingTuned);
  });

  it('passes over a point that cannot be trained', async () => {
    const broken: SearchSpace = {
      ...space,
      trials: 4,
      parameters: { ...space.parameters, bins: { kind: 'choice', values: [64, 'many'] } },
    };
    const result = await tune({ ...options, space: broken });
    expect(result.best.parameters.bins).toBe(64);
    const [failed] = await readRuns(warehouse, options.prefix, { parent: result.id, state: 'failed' });
    expect(failed?.error).toMatch(/bins/);
  });
});
