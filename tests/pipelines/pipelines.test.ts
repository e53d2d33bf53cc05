import { mkdtempSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArtefactDirectory } from '../../infrastructure/artefacts/directory.ts';
import { createShelf } from '../../infrastructure/artefacts/shelf.ts';
import { createMemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryQueue } from '../../infrastructure/memory/queue.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { withFaults } from '../../infrastructure/memory/warehouse.ts';
import { createModelRegistry, type ModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createPipelines, openRunLog } from '../../pipelines/pipelines.ts';
import { resume } from '../../pipelines/runs/changes.ts';
import { type PipelineRun, parseRun, stepOf } from '../../pipelines/runs/run.ts';
import { readStepLog } from '../../pipelines/runs/step-log.ts';
import type { StepExecutor } from '../../pipelines/runs/work.ts';
import { createStepExecutor } from '../../pipelines/steps/execute.ts';
import type { StepTools } from '../../pipelines/steps/tools.ts';
import { tables } from '../../schemas/names.ts';
import type { Pipeline, Step } from '../../schemas/pipeline.ts';
import type { Project } from '../../schemas/project.ts';
import { DAY, HOUR } from '../../schemas/time.ts';
import { applyProject } from '../../streams/apply/apply.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { type FlightsArchive, flightsArchive } from '../streams/history/history-fixture.ts';

const FROM = Date.UTC(2001, 2, 1);
const TO = FROM + 7 * DAY;

const step = (name: Step['kind'], needs: readonly string[], parts: Partial<Step> = {}): Step => ({
  name,
  kind: name,
  needs,
  retries: 1,
  timeout: 60_000,
  resources: 'light',
  with: {},
  trainer: null,
  ...parts,
});
const weekly: Pipeline = {
  name: 'weekly',
  model: 'late_arrival',
  start: { every: DAY, cron: null, alerts: ['worse'], cooldown: 3 * DAY },
  eventLatency: 2 * HOUR,
  steps: [
    step('dataset', [], { with: { last: 6 * DAY } }),
    step('train', ['dataset'], { resources: 'cpu' }),
    step('evaluate', ['train']),
    step('gate', ['evaluate']),
    step('register', ['gate']),
    step('shadow', ['register']),
    step('decide', ['shadow']),
  ],
};

let archive: FlightsArchive;
let project: Project;
let tools: StepTools;
let registry: ModelRegistry;
let directory: string;
let warehouse: ReturnType<typeof withFaults>;
const clock = { now: Date.now, sleep: (ms: number) => sleep(ms) };

beforeAll(async () => {
  archive = await flightsArchive(FROM, TO);
  warehouse = withFaults(archive.warehouse);
  const [model] = archive.project.models;
  if (model === undefined) throw new Error('the flights have a model');
  project = {
    ...archive.project,
    pipelines: [weekly],
    models: [
      {
        ...model,
        trainer: { name: 'logistic', parameters: { epochs: 5 } },
        sample: { maxRows: 1_500, seed: 3 },
        // Every model passes: what a gate judges is tested elsewhere.
        rollout: {
          ...model.rollout,
          gate: { testLast: 2 * DAY, maxLoss: 10, sliceTolerance: 10, minRows: 1, maxCalibrationError: 1 },
        },
      },
    ],
  };
  directory = mkdtempSync(join(tmpdir(), 'millrace-pipelines-'));
  const kafka = createMemoryBroker(clock).kafka();
  await applyProject({ project, kafka, declared: [] });
  const codecs = await openCodecs(project, createMemoryRegistry());
  registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
  tools = {
    project,
    warehouse,
    artefacts: createArtefactDirectory(join(directory, 'artefacts')),
    dataSets: createShelf(join(directory, 'datasets')),
    registry: async () => registry,
    codeVersion: 'test',
    now: Date.now,
    tuningWorkers: 1,
    mirror: null,
  };
  others = { kafka, codecs };
});
let others: Pick<Parameters<typeof createPipelines>[0], 'kafka' | 'codecs'>;
afterAll(async () => {
  await archive?.warehouse.close();
  await rm(directory, { recursive: true, force: true });
});

const measured = (tick: number, fired: readonly object[] = []) =>
  archive.warehouse.insert(
    tables.ticks(project.prefix),
    [{ tick: iso(tick), state: 'measured', detail: JSON.stringify({ fired }), at: iso(Date.now()) }],
    { token: `measured ${tick}` },
  );
const iso = (time: number) => new Date(time).toISOString();

async function tickState(tick: number): Promise<string | undefined> {
  const rows = await archive.warehouse.query<{ state: string }>(
    `SELECT state FROM ${tables.ticks(project.prefix)} FINAL WHERE tick = fromUnixTimestamp64Milli({tick:Int64})`,
    { tick },
  );
  return rows[0]?.state;
}

async function until<T>(what: () => Promise<T | null | undefined | false>, withinMs = 25_000): Promise<T> {
  for (const end = Date.now() + withinMs; ; ) {
    const found = await what();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error('it did not come to be in time');
    await sleep(50);
  }
}

/** Workers on one queue, for the time of a test. */
async function working(
  options: { readonly execute?: StepExecutor; readonly workers?: number },
  test: (queue: ReturnType<typeof createMemoryQueue>) => Promise<void>,
): Promise<void> {
  const queue = createMemoryQueue();
  const ending = new AbortController();
  const execute = options.execute ?? createStepExecutor(tools);
  const deps = { project, warehouse, queue, execute, clock, telemetry: SILENT, lookMs: 50, ...others };
  const running = Array.from({ length: options.workers ?? 1 }, () =>
    createPipelines(deps).run(ending.signal),
  );
  try {
    await test(queue);
  } finally {
    ending.abort();
    await Promise.all(running);
    await queue.close();
  }
}

const runIn = async (
  queue: ReturnType<typeof createMemoryQueue>,
  id: string,
): Promise<PipelineRun | null> => {
  const text = await queue.documents.get(id);
  return text === null ? null : parseRun(text);
};
const idOf = (tick: number) => `weekly@${iso(tick).replace('.000Z', 'Z').replaceAll(':', '')}`;
const states = (run: PipelineRun) =>
  Object.fromEntries(run.steps.map(({ step: { name }, state }) => [name, state]));

describe('pipelines', () => {
  it('go from a tick to a champion, then to a challenger in the shadow; several workers do it once', async () => {
    await working({ workers: 3 }, async (queue) => {
      const first = TO - DAY;
      await measured(first);
      await until(async () => (await tickState(first)) === 'finished');
      const run = await until(async () => {
        const found = await runIn(queue, idOf(first));
        return found?.state === 'done' ? found : null;
      });
      expect(states(run)).toEqual({
        dataset: 'done',
        train: 'done',
        evaluate: 'done',
        gate: 'done',
        register: 'done',
        shadow: 'done',
        decide: 'done',
      });
      const [champion] = await registry.list('late_arrival');
      expect(champion).toMatchObject({ version: 1, state: 'champion' });
      const artefact = parseArtefact(
        await tools.artefacts.get(champion?.artefact ?? ''),
        champion?.artefact ?? '',
      );
      expect(artefact.manifest.dataset).toMatchObject({ from: first - 6 * DAY, to: first - 2 * DAY });
      expect(artefact.manifest.metrics.test?.rows).toBeGreaterThan(300);

      await measured(TO);
      await until(async () => (await tickState(TO)) === 'finished');
      const second = await until(async () => {
        const found = await runIn(queue, idOf(TO));
        return found?.state === 'shadowing' && stepOf(found, 'shadow')?.looked !== null ? found : null;
      });
      expect(second).toMatchObject({ cause: 'schedule', eventTime: TO, effectiveFrom: TO + 2 * HOUR });
      const versions = await registry.list('late_arrival');
      expect(versions.map(({ version, state }) => [version, state])).toEqual([
        [1, 'champion'],
        [2, 'challenger'],
      ]);
      expect(versions[1]?.since).toMatchObject({ effectiveFrom: TO + 2 * HOUR, by: 'pipeline weekly' });
      const references = await archive.warehouse.query<{ version: number; n: number }>(
        `SELECT version, count() AS n FROM ${tables.references(project.prefix, 'late_arrival')} FINAL GROUP BY version ORDER BY version`,
      );
      expect(references.map(({ version }) => version)).toEqual([1, 2]);
      expect(references.every(({ n }) => n > 100)).toBe(true);

      // A repeated tick starts nothing, tells nobody anything new.
      const before = await queue.documents.all();
      await measured(TO);
      await sleep(300);
      expect((await queue.documents.all()).size).toBe(before.size);
      expect(await registry.list('late_arrival')).toHaveLength(2);
      const [kept] = await archive.warehouse.query<{ state: string; steps: number }>(
        `SELECT state, (SELECT count() FROM ${tables.pipelineSteps(project.prefix)} FINAL WHERE run = {id:String} AND state = 'done') AS steps
         FROM ${tables.pipelineRuns(project.prefix)} FINAL WHERE id = {id:String}`,
        { id: idOf(first) },
      );
      expect(kept).toEqual({ state: 'done', steps: 7 });
      const experiments = await archive.warehouse.query<{
        kind: string;
        state: string;
        dataset: string;
        metrics: number;
      }>(
        `SELECT kind, state, dataset, (SELECT count() FROM ${tables.runMetrics(project.prefix)} AS m FINAL WHERE startsWith(m.run, {id:String})) AS metrics
         FROM ${tables.runs(project.prefix)} WHERE parent = {id:String} ORDER BY started_at`,
        { id: idOf(first) },
      );
      expect(experiments.map(({ kind, state }) => [kind, state])).toEqual([
        ['train', 'done'],
        ['evaluate', 'done'],
      ]);
      expect(experiments[0]?.dataset).toBe(artefact.manifest.dataset?.hash);
      expect(experiments[0]?.metrics).toBeGreaterThan(10);
    });
    expect((await readdir(join(directory, 'datasets'), { recursive: true })).length).toBeGreaterThan(0);
  });

  it('go on at the failed step with what was made before, though the data set has to be built again', async () => {
    let broken = true;
    const calls: string[] = [];
    const real = createStepExecutor(tools);
    const execute: StepExecutor = async (call, signal) => {
      calls.push(call.step.step.name);
      if (call.step.step.name === 'train' && broken) throw new Error('a bug');
      return real(call, signal);
    };
    await working({ execute }, async (queue) => {
      const { log } = openRunLog({ project, queue, warehouse, clock }, () => {});
      const id = 'weekly@by-hand';
      await log.start({
        id,
        pipeline: { ...weekly, steps: weekly.steps.slice(0, 3) },
        eventTime: TO - DAY,
        cause: 'by hand',
        tick: null,
      });
      const failed = await until(async () => {
        const found = await runIn(queue, id);
        return found?.state === 'failed' ? found : null;
      });
      expect(stepOf(failed, 'train')).toMatchObject({ error: 'a bug', failures: 1 });
      expect(calls, 'a bug is not tried again').toEqual(['dataset', 'train']);
      broken = false;
      await rm(join(directory, 'datasets'), { recursive: true });
      await log.update(id, resume);
      const done = await until(async () => {
        const found = await runIn(queue, id);
        return found?.state === 'done' ? found : null;
      });
      expect(calls).toEqual(['dataset', 'train', 'train', 'evaluate']);
      const told = async (step: string) =>
        (await readStepLog(archive.warehouse, project.prefix, { run: id, step, limit: 50 })).map(
          ({ attempt, kind, text }) => `${attempt} ${kind} ${text}`,
        );
      const worker = stepOf(done, 'train')?.worker;
      const train = await told('train');
      expect(train.slice(0, 3)).toEqual([`1 begun ${worker}`, '1 error a bug', `2 begun ${worker}`]);
      expect(train.at(-1)).toBe(`2 note ${stepOf(done, 'train')?.note}`);
      // The table is written just after the document.
      await until(async () => (await told('evaluate')).length > 1);
      expect(await told('evaluate')).toEqual([
        `1 begun ${worker}`,
        `1 note ${stepOf(done, 'evaluate')?.note}`,
      ]);
      expect(await told('register')).toEqual([]);
      expect(stepOf(done, 'dataset')?.attempt).toBe(1);
    });
  });

  it('learn from nothing before what the model declares, however far back they look', async () => {
    const declared = project.models[0]?.training.from ?? expect.fail('the flights say from when');
    const far = { ...weekly, steps: [step('dataset', [], { with: { last: 365 * DAY, max_rows: 200 } })] };
    await working({}, async (queue) => {
      const { log } = openRunLog({ project, queue, warehouse, clock }, () => {});
      await log.start({ id: 'far', pipeline: far, eventTime: TO, cause: 'by hand', tick: null });
      const run = await until(async () => {
        const found = await runIn(queue, 'far');
        return found?.state === 'done' ? found : null;
      });
      expect(stepOf(run, 'dataset')?.result).toMatchObject({ training: { from: declared, rows: 200 } });
    });
  });

  it('hold a step to its time, give it back at the end, and end it when it is cancelled or lost', async () => {
    const told: string[] = [];
    const execute: StepExecutor = (call, signal) =>
      new Promise((_, reject) => {
        told.push(`${call.step.step.name} ${call.step.attempt}`);
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    const short = { ...weekly, steps: [step('dataset', [], { timeout: 200, retries: 2 })] };
    // No timer is that long.
    const long = { ...weekly, steps: [step('dataset', [], { timeout: 30 * DAY, retries: 2 })] };
    const queue = createMemoryQueue();
    const ending = new AbortController();
    const deps = { project, warehouse, queue, execute, clock, telemetry: SILENT, lookMs: 50, ...others };
    const running = createPipelines(deps).run(ending.signal);
    const { log } = openRunLog({ project, queue, warehouse, clock }, () => {});
    const start = (id: string, pipeline: Pipeline) =>
      log.start({ id, pipeline, eventTime: TO, cause: 'by hand', tick: null });
    await start('short', short);
    const failed = await until(async () => {
      const found = await runIn(queue, 'short');
      return found?.state === 'failed' ? found : null;
    });
    expect(failed.steps[0]?.error).toMatch(/stopped after its time limit/);
    expect(failed.steps[0]?.attempt, 'it would take as long again').toBe(1);

    await start('long', long);
    await until(async () => (await runIn(queue, 'long'))?.steps[0]?.state === 'running');
    queue.lose('light');
    await until(async () => (await runIn(queue, 'long'))?.steps[0]?.attempt === 2);
    ending.abort();
    await running;
    const released = await runIn(queue, 'long');
    expect(released?.steps[0]).toMatchObject({ state: 'waiting', token: null, failures: 1 });
    await queue.close();
  });

  it('wait for ClickHouse and the queue where they are away, and write the history later', async () => {
    const execute: StepExecutor = async () => ({ kind: 'done', result: null, note: '' });
    await working({ execute }, async (queue) => {
      const { log } = openRunLog({ project, queue, warehouse, clock }, () => {});
      warehouse.setAvailable(false);
      await log.start({ id: 'away', pipeline: weekly, eventTime: TO, cause: 'by hand', tick: null });
      queue.setAvailable(false);
      await sleep(200);
      queue.setAvailable(true);
      warehouse.setAvailable(true);
      await until(async () => {
        const [row] = await archive.warehouse.query<{ state: string }>(
          `SELECT state FROM ${tables.pipelineRuns(project.prefix)} FINAL WHERE id = 'away'`,
        );
        return row?.state === 'done';
      });
    });
  });

  it('are started by the clock as of what came live, though no clock record ever did', async () => {
    const table = tables.events(project.prefix, 'flights');
    const rows = await archive.warehouse.query<Record<string, unknown> & { time: string }>(
      `SELECT * FROM ${table} ORDER BY time DESC LIMIT 5`,
    );
    const minutely: Pipeline = { ...weekly, name: 'minutely', start: { ...weekly.start, cron: '* * * * *' } };
    const execute: StepExecutor = async () => ({ kind: 'done', result: null, note: '' });
    const queue = createMemoryQueue();
    const ending = new AbortController();
    const deps = { project: { ...project, pipelines: [minutely] }, warehouse, queue, execute, clock };
    const running = createPipelines({ ...deps, telemetry: SILENT, lookMs: 50, ...others }).run(ending.signal);
    const runs = async () => [...(await queue.documents.all()).values()].map(parseRun);
    await sleep(300);
    expect(await runs(), 'history alone is no present').toEqual([]);
    const live = rows.map((row) => ({ ...row, import_id: '' }));
    await archive.warehouse.insert(table, live, { token: 'live' });
    const [run] = await until(async () => ((await runs()).length > 0 ? runs() : null));
    expect(run).toMatchObject({ pipeline: 'minutely', cause: 'cron', tick: null });
    expect(run?.eventTime).toBe(Date.parse(rows[0]?.time ?? ''));
    ending.abort();
    await running;
    await queue.close();
  });
});
