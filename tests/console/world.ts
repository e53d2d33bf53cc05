import { fileURLToPath } from 'node:url';
import { loadProject } from '../../config/load.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryArtefacts } from '../../infrastructure/memory/artefacts.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { writeReference } from '../../monitoring/drift/references.ts';
import { measure, writeMeasures } from '../../monitoring/measures.ts';
import { writeTick } from '../../monitoring/progress.ts';
import { openRunLog } from '../../pipelines/pipelines.ts';
import { registerVersion } from '../../pipelines/rollout/moves.ts';
import { begin, fail, remark, settle } from '../../pipelines/runs/changes.ts';
import type { PipelineRun } from '../../pipelines/runs/run.ts';
import { recordRun } from '../../pipelines/training/runs.ts';
import { topics } from '../../schemas/names.ts';
import type { Pipeline } from '../../schemas/pipeline.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';
import { createArchive } from '../../streams/archive/archive.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { declarationsIn } from '../api/declarations.ts';
import { type ApiWorld, createApiWorld, testKeys } from '../api/world.ts';
import { artefactFor } from '../simulation/versions.ts';
import { tripStart } from '../streams/plane.ts';

/** A project with something on every page: events, answers of a real artefact, two versions, figures, drift, runs. */
export interface ConsoleWorld {
  readonly world: ApiWorld;
  readonly warehouse: MemoryWarehouse;
  /** Lets one alert fire. */
  alert(): Promise<void>;
  close(): Promise<void>;
}

export async function openConsoleWorld(consoleDirectory: string): Promise<ConsoleWorld> {
  const directory = fileURLToPath(new URL('../simulation/project', import.meta.url));
  const [model] = loadProject(directory, { environment: {}, partitions: 1 }).models;
  if (model === undefined) throw new Error('the project has a model');
  const artefacts = createMemoryArtefacts();
  const { address, bytes } = artefactFor(model, 7);
  await artefacts.put(bytes);
  const scorer = createScorer(parseArtefact(bytes, address), model.layoutHash);
  const warehouse = await createMemoryWarehouse();
  const world = await createApiWorld({
    warehouse,
    artefacts,
    declarations: declarationsIn(directory),
    keys: testKeys(),
    server: { consoleDirectory },
    champion: {
      version: 1,
      artefact: address,
      layoutHash: model.layoutHash,
      threshold: scorer.threshold,
      score: (vector) => scorer.score(vector),
    },
  });
  const { project, deps } = world;
  await ensureTables(warehouse, project);
  world.run();
  const stop = new AbortController();
  const archiving = createArchive({ ...deps, telemetry: SILENT }).run(stop.signal);
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  await send(world);
  await versions(world, model, address);
  await figures(warehouse, project, model);
  await pipelineRun(world, model.name);
  return {
    world,
    warehouse,
    alert: () => fire(world),
    async close() {
      stop.abort();
      await archiving;
      await world.close();
      await warehouse.close();
    },
  };
}

async function send({ app }: ApiWorld): Promise<void> {
  const start = Math.floor((Date.now() - 20 * MINUTE) / MINUTE) * MINUTE;
  const trips = Array.from({ length: 40 }, (_, i) =>
    tripStart(`trip e${i}`, start + i * 20 * SECOND, ['north', 'south'][i % 2]),
  );
  const sent = await app.inject({
    method: 'POST',
    url: '/v1/events/trips',
    headers: {
      host: 'localhost',
      authorization: 'Bearer mr-test-producer',
      'content-type': 'application/x-ndjson',
    },
    payload: trips.map((one) => JSON.stringify(one)).join('\n'),
  });
  if (sent.statusCode !== 202) throw new Error(`the trips were not taken: ${sent.body}`);
}

async function versions({ project, deps }: ApiWorld, model: Model, artefact: string): Promise<void> {
  const registry = createModelRegistry({
    kafka: deps.kafka,
    codec: deps.codecs.models,
    prefix: project.prefix,
    now: Date.now,
  });
  const made = { model: model.name, artefact, location: '', layout: model.layoutHash };
  const by = (reason: string) => ({ by: 'test', reason, effectiveFrom: null });
  await registerVersion(registry, { ...made, as: 'champion' }, by('the first'));
  await registerVersion(registry, { ...made, as: 'challenger' }, by('trained again'));
}

async function fire({ project, deps }: ApiWorld): Promise<void> {
  const now = Date.now();
  const value = deps.codecs.alerts.encode({
    format: 1,
    id: 'went-wrong-1',
    fingerprint: 'went-wrong',
    change: 1,
    rule: 'drifted',
    severity: 'page',
    state: 'firing',
    kind: 'drift',
    statistic: 'psi',
    model: project.models[0]?.name ?? '',
    version: 1,
    subject: 'x',
    slice: '',
    value: 1,
    threshold: 0.5,
    summary: 'Something went wrong.',
    tick: now,
    startedAt: now,
    firedAt: now,
    endedAt: null,
    at: now,
  });
  const producer = await deps.kafka.producer();
  await producer.send([{ topic: topics.alerts(project.prefix), partition: 0, key: null, value }]);
  await producer.close();
}

/** A run whose first step said something on the way, failed, was tried again, and came to something. */
async function pipelineRun({ project, deps }: ApiWorld, model: string): Promise<void> {
  const { log } = openRunLog(deps, deps.onFailure);
  const step = {
    name: 'train',
    kind: 'train',
    needs: [],
    retries: 1,
    timeout: HOUR,
    resources: 'cpu',
    with: {},
    trainer: null,
  } as const;
  const pipeline = { name: 'retrain', model, eventLatency: 0, steps: [step] } as unknown as Pipeline;
  const eventTime = Math.floor(Date.now() / HOUR) * HOUR;
  const { id } = (await log.start({ id: 'retrain@1', pipeline, eventTime, cause: 'by hand', tick: null }))
    .run;
  const change = async (to: (run: PipelineRun, now: number) => PipelineRun | null) => {
    if ((await log.update(id, to)) === null) throw new Error(`run ${id} of ${project.name} did not change`);
  };
  await change((run, now) => begin(run, 'train', { delivery: 1, token: 'a', worker: 'worker 7' }, now));
  await change((run, now) => remark(run, 'train', 'a', 'epoch 1 of 5', now));
  await change((run, now) => fail(run, 'train', 'a', { message: 'The disk is full.', retriable: true }, now));
  await change((run, now) => begin(run, 'train', { delivery: 2, token: 'b', worker: 'worker 8' }, now));
  const done = { kind: 'done', result: null, note: 'trees, 300 rounds' } as const;
  await change((run, now) => settle(run, 'train', 'b', done, now, now));
}

const BINS = [0.1, 0.3, 0.6, 0.9].map((meanScore) => ({
  rows: 25,
  meanScore,
  rate: meanScore * 0.9,
  lowest: meanScore - 0.1,
  highest: meanScore + 0.1,
}));
const SHARES = { cells: ['< 3', '≥ 3', 'missing'], reference: [0.5, 0.4, 0.1], current: [0.2, 0.7, 0.1] };

async function figures(warehouse: MemoryWarehouse, project: Project, model: Model): Promise<void> {
  const { prefix } = project;
  const tick = Math.floor(Date.now() / HOUR) * HOUR;
  const window = { model: model.name, version: 1, from: tick - HOUR, to: tick, tick, rows: 100 };
  const feature = model.features[0]?.name ?? '';
  await writeMeasures(
    warehouse,
    prefix,
    'test',
    [
      measure({ ...window, kind: 'quality', statistic: 'auc', value: 0.8, low: 0.7, high: 0.9 }),
      measure({
        ...window,
        kind: 'quality',
        statistic: 'calibration_error',
        value: 0.02,
        detail: { curve: BINS },
      }),
      measure({
        ...window,
        kind: 'drift',
        statistic: 'psi',
        subject: feature,
        value: 0.3,
        threshold: 0.2,
        fired: true,
        detail: { why: 'It moved further than quiet windows do.', shares: SHARES },
      }),
    ],
    tick,
  );
  await writeTick(warehouse, prefix, tick, 'finished', {}, tick);
  const width = model.features.length;
  await writeReference(warehouse, project, model, {
    version: 1,
    artefact: '0'.repeat(64),
    ids: Array.from({ length: 50 }, (_, i) => `r${i}`),
    times: new Float64Array(50).fill(tick - HOUR),
    rows: Float64Array.from({ length: 50 * width }, (_, i) => (i * 7) % 50),
    scoreOf: () => 0.5,
    labels: new Uint8Array(50),
  });
  for (const [id, rounds] of [
    ['training-a', 10],
    ['training-b', 20],
  ] as const)
    await recordRun(warehouse, prefix, {
      id,
      kind: 'train',
      subject: model.name,
      startedAt: tick,
      finishedAt: tick + MINUTE,
      parameters: { rounds },
      metrics: [{ metric: 'validation_log_loss', slice: '', step: 0, value: 1 / rounds }],
      detail: {},
    });
}
