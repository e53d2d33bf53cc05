import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { trainModel } from '../../pipelines/training/training.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { importHistory } from '../../streams/history/import.ts';
import { bytes, count, day } from '../format.ts';
import { trainingSteps } from '../training-progress.ts';
import { codeVersion } from '../version.ts';
import { type RunningStreams, startInProcess, startProcesses } from './processes.ts';
import type { Stage } from './stage.ts';

/** History into the warehouse, every event before `to` (event time, epoch ms). */
export async function load({ context, project, platform, source, file }: Stage, to: number) {
  const progress = context.output.progress('history', { unit: 'events' });
  const started = performance.now();
  await ensureTables(platform.warehouse, project);
  const report = await importHistory({
    project,
    warehouse: platform.warehouse,
    source,
    file,
    from: null,
    to,
    now: Date.now(),
    signal: context.signal,
    progress: ({ events, of }) => {
      progress.total(of);
      progress.update(events);
    },
  });
  progress.done(`${count(report.accepted)} events to ${day(report.to - 1)} into ClickHouse`);
  return { ...report, ms: performance.now() - started };
}

/** The online state as of the end of history. */
export async function build({ context, project, platform }: Stage, to: number) {
  const progress = context.output.progress('features', { total: 1_000 });
  const started = performance.now();
  const report = await backfillState({
    project,
    warehouse: platform.warehouse,
    store: platform.store,
    kafka: platform.kafka,
    codecs: await platform.codecs(),
    to,
    signal: context.signal,
    progress: (done) => {
      if (done.step === 'write') progress.update(1_000, `writing ${done.view}`);
      else
        progress.update(
          Math.floor((1_000 * (done.time - done.from)) / (to - done.from)),
          `${count(done.events)} events`,
        );
    },
  });
  const entities = report.views.reduce((sum, view) => sum + view.entities, 0);
  const size = report.views.reduce((sum, view) => sum + view.bytes, 0);
  progress.done(`${count(entities)} entities as of ${day(to)}, ${bytes(size)}`);
  return { events: report.events, entities, ms: performance.now() - started };
}

/** The model, from requests before `to` and what was known of them then, and champion at once. */
export async function learn(
  { context, project, platform, model }: Stage,
  { from = null, to, by }: { readonly from?: number | null; readonly to: number; readonly by: string },
) {
  const steps = trainingSteps(context.output);
  const { models: codec } = await platform.codecs();
  try {
    const report = await trainModel({
      project,
      model,
      warehouse: platform.warehouse,
      artefacts: platform.artefacts,
      registry: createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
      from,
      to,
      asOf: to,
      as: 'champion',
      by,
      codeVersion: codeVersion(context.environment.packageDirectory),
      now: Date.now,
      progress: steps.on,
      signal: context.signal,
    });
    steps.done();
    return report;
  } catch (error) {
    steps.fail();
    throw error;
  }
}

export async function startStreams(stage: Stage, embedded: boolean): Promise<RunningStreams> {
  const { context, project, platform } = stage;
  const progress = context.output.progress('streams');
  const groups = [
    ['ingest', 'features'],
    ['inference'],
    // Large inserts would make requests wait, so they have a process of their own.
    ['archive'],
    ['monitoring', 'delivery', 'pipelines'],
  ] as const;
  const streams = embedded
    ? await startInProcess(project, platform, context.environment)
    : await startProcesses(context, project, groups);
  progress.done(
    embedded ? 'in this process' : `${groups.map((names) => names.join(' + ')).join(', ')}: a process each`,
  );
  return streams;
}
