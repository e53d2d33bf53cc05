import { join } from 'node:path';
import { ensureTables, removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { alive, startOf } from '../../infrastructure/local/processes.ts';
import { currentStack, down } from '../../infrastructure/local/stack.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import { PLANTED, plantedCounts } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { applyProject, removeProject } from '../../streams/apply.ts';
import { backfillState } from '../../streams/backfill.ts';
import { removeSchemas } from '../../streams/declared-schemas.ts';
import { importHistory } from '../../streams/import.ts';
import { openTwins, type Platform } from '../../streams/platform.ts';
import { type ReplayResult, replay } from '../../streams/replay.ts';
import { trainModel } from '../../streams/training.ts';
import type { CommandContext } from '../command.ts';
import { applyDeps, countChanges } from '../commands/apply.ts';
import { historyOf } from '../commands/import.ts';
import { modelOf } from '../commands/predictions.ts';
import { type Current, readCurrent, writeCurrent } from '../current.ts';
import { bytes, count, day, instant } from '../format.ts';
import { quantileOf, startFeatureProbe } from '../probe.ts';
import { artefactDirectory, openPlatform, openProject, projectDirectory } from '../project.ts';
import type { Report } from '../report.ts';
import { stackDirectory, startLocalStack } from '../stack.ts';
import { trainingSteps } from '../training-progress.ts';
import { codeVersion } from '../version.ts';
import { demoItems, splitItems } from './items.ts';
import { createMeasures, type Measures } from './measure.ts';
import {
  HISTORY_TO,
  LABELS_TO,
  PACE,
  PACED_FROM,
  PLANTED_EACH,
  REPLAY_TO,
  SAMPLE_ROWS,
  SEED,
} from './plan.ts';
import { aborted, type RunningStreams, startInProcess, startProcesses } from './processes.ts';

export interface Demo {
  readonly report: Report;
  readonly project: Project;
  readonly model: Model;
  /** Of ClickHouse, for a person's SQL. */
  readonly warehouseUrl: string;
  /** Stops the streams, and the stack where this demo started it. */
  close(): Promise<void>;
}

interface Stage {
  readonly context: CommandContext;
  readonly project: Project;
  readonly source: Source;
  readonly model: Model;
  readonly platform: Platform;
  readonly file: HistoryFile;
}

type Closing = () => Promise<unknown>;

/** From nothing to a report, every step with its progress. What was started is stopped again when a step fails. */
export async function runDemo(
  context: CommandContext,
  options: { readonly embedded: boolean },
): Promise<Demo> {
  const began = performance.now();
  const closing: Closing[] = [];
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    const stage = await prepare(context, options.embedded, closing);
    const { project, source, model, platform } = stage;
    const imported = await load(stage);
    const backfilled = await build(stage);
    const trained = await learn(stage);
    const streams = await startStreams(stage, options.embedded);
    closing.push(streams.stop);
    const measures = createMeasures(project, source, model, platform.warehouse);
    const replayed = await Promise.race([play(stage), streams.failed]);
    const counts = await Promise.race([settle(stage, measures, replayed.sent), streams.failed]);
    const report = await tell(stage, measures, {
      imported,
      backfilled,
      trained,
      replayed,
      counts,
      embedded: options.embedded,
    });
    return {
      report: { ...report, elapsed: performance.now() - began },
      project,
      model,
      warehouseUrl: warehouseUrl(platform, project),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function prepare(context: CommandContext, embedded: boolean, closing: Closing[]): Promise<Stage> {
  const { output, environment } = context;
  const directory = projectDirectory(context);
  const before = readCurrent(environment.dataDirectory, directory);
  refuseBeside(before);
  const stack = { dataDir: stackDirectory(context) };
  // A stack that somebody else started is used and left running; one of a demo that was killed is ours.
  const found = currentStack(stack.dataDir) !== undefined && before?.startedStack !== true;
  const prefix = `demo-${Date.now().toString(36)}`;

  const first = openProject(context, { prefix });
  const { history, source } = historyOf(first, undefined);
  // The file takes some seconds of another process: it is read while the servers start.
  const reading = openHistory(history, source, null);
  reading.catch(() => {});
  if (!embedded) {
    if (!found) closing.push(() => down(stack));
    await startLocalStack(context);
  }
  // The prefix is written down before anything carries it, so that a killed demo is cleaned up by the next one.
  if (!embedded)
    writeCurrent(environment.dataDirectory, directory, {
      prefix,
      since: Date.now(),
      startedStack: !found,
      process: thisProcess(),
    });
  const project = openProject(context, { prefix });
  const artefacts = artefactDirectory(context);
  const platform = embedded ? await openTwins(project, { artefacts }) : openPlatform(context, project);
  closing.push(() => platform.close());

  if (!embedded && before !== undefined) {
    const removing = output.progress('demo before');
    const removed = await removeProject(before.prefix, before.prefix, {
      kafka: platform.kafka,
      store: platform.store,
      removeSchemas: (subjects) => removeSchemas(platform.registry, subjects),
      removeTables: (of) => removeTables(platform.warehouse, of),
    });
    removing.done(
      `${count(removed.topics)} topics, ${count(removed.keys)} keys, ${count(removed.tables)} tables removed`,
    );
  }
  const applying = output.progress('topics, schemas, tables');
  applying.done(`${countChanges(await applyProject(applyDeps(project, platform)))} under ${prefix}`);
  const waiting = output.progress('flights');
  const file = await Promise.race([reading, aborted(context.signal)]);
  waiting.done(`${count(file.rows)} rows, ${count(file.duplicates)} exact duplicates left out`);
  const declared = modelOf(project, undefined);
  const maxRows = Math.min(declared.sample.maxRows, SAMPLE_ROWS);
  const model: Model = { ...declared, sample: { ...declared.sample, maxRows } };
  const own = project.sources.find(({ name }) => name === source.name) ?? source;
  return { context, project, source: own, model, platform, file };
}

export class DemoRuns extends MillraceError {
  readonly code = 'demo_runs';
  readonly retriable = false;
}

/** Two demos on one stack would take each other's servers and topics away. */
function refuseBeside(before: Current | undefined): void {
  if (before?.process === undefined || !alive(before.process)) return;
  throw new DemoRuns(
    `A demo runs here already (process ${before.process.pid}, prefix ${before.prefix}): end it with Ctrl-C first, or give this one a directory of its own with MILLRACE_DATA.`,
  );
}

const thisProcess = () => ({ pid: process.pid, started: startOf(process.pid) ?? '' });

async function load({ context, project, platform, source, file }: Stage) {
  const progress = context.output.progress('history', { unit: 'events' });
  const started = performance.now();
  await ensureTables(platform.warehouse, project);
  const report = await importHistory({
    project,
    warehouse: platform.warehouse,
    source,
    file,
    from: null,
    to: HISTORY_TO,
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

async function build({ context, project, platform }: Stage) {
  const progress = context.output.progress('features', { total: 1_000 });
  const started = performance.now();
  const report = await backfillState({
    project,
    warehouse: platform.warehouse,
    store: platform.store,
    kafka: platform.kafka,
    codecs: await platform.codecs(),
    to: HISTORY_TO,
    signal: context.signal,
    progress: (done) => {
      if (done.step === 'write') progress.update(1_000, `writing ${done.view}`);
      else
        progress.update(
          Math.floor((1_000 * (done.time - done.from)) / (HISTORY_TO - done.from)),
          `${count(done.events)} events`,
        );
    },
  });
  const entities = report.views.reduce((sum, view) => sum + view.entities, 0);
  const size = report.views.reduce((sum, view) => sum + view.bytes, 0);
  progress.done(`${count(entities)} entities as of ${day(HISTORY_TO)}, ${bytes(size)}`);
  return { events: report.events, entities, ms: performance.now() - started };
}

async function learn({ context, project, platform, model }: Stage) {
  const steps = trainingSteps(context.output);
  const { models: codec } = await platform.codecs();
  try {
    const report = await trainModel({
      project,
      model,
      warehouse: platform.warehouse,
      artefacts: platform.artefacts,
      registry: createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
      from: null,
      to: HISTORY_TO,
      asOf: HISTORY_TO,
      as: 'champion',
      by: 'millrace demo',
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

async function startStreams(stage: Stage, embedded: boolean): Promise<RunningStreams> {
  const { context, project, platform } = stage;
  const progress = context.output.progress('streams');
  const groups = [
    ['ingest', 'features'],
    ['inference'],
    // Large inserts would make requests wait, so they have a process of their own.
    ['archive'],
  ] as const;
  const streams = embedded
    ? await startInProcess(
        project,
        platform,
        join(context.environment.dataDirectory, 'logs/demo-embedded.log'),
      )
    : await startProcesses(context, project, groups);
  progress.done(
    embedded ? 'in this process' : `${groups.map((names) => names.join(' + ')).join(', ')}: a process each`,
  );
  return streams;
}

interface Played {
  readonly sent: number;
  readonly planted: number;
  readonly unlimited: ReplayResult;
  readonly paced: ReplayResult;
  readonly featureMs: Float64Array;
}

async function play(stage: Stage): Promise<Played> {
  const { context, project, platform, source, model, file } = stage;
  const { output, signal } = context;
  const { kafka, store, clock } = platform;
  const codecs = await platform.codecs();
  const deps = { project, kafka, store, codecs, clock };
  let planted = 0;
  const items = splitItems(
    demoItems(file, source, model, (records) => {
      planted += records;
    }),
    PACED_FROM,
  );
  const options = { source: source.name, signal, waitLimitMs: 120_000 };

  const racing = output.progress('replay, unlimited', {
    total: file.count({ from: HISTORY_TO, to: PACED_FROM }),
    unit: 'events',
  });
  const unlimited = await replay(deps, {
    ...options,
    name: `${project.prefix}-unlimited`,
    items: items.before,
    speed: Number.POSITIVE_INFINITY,
    onProgress: ({ sent, eventTime }) => racing.update(sent, instant(eventTime)),
  });
  signal.throwIfAborted();
  const rate = (unlimited.sent * 1_000) / (unlimited.finishedAt - unlimited.startedAt);
  racing.done(
    `${count(unlimited.sent)} events to ${day(PACED_FROM - 1)}, ${count(rate)}/s through the whole path`,
  );

  const pacing = output.progress(`replay, ${count(PACE)}x`, {
    total: file.count({ from: PACED_FROM, to: REPLAY_TO }),
    unit: 'events',
  });
  const probe = await startFeatureProbe({ ...deps, source });
  const paced = await replay(deps, {
    ...options,
    name: `${project.prefix}-paced`,
    items: items.after,
    speed: PACE,
    onProgress: ({ sent, eventTime }) => pacing.update(sent, instant(eventTime)),
  }).finally(() => probe.stop());
  const featureMs = await probe.stop();
  signal.throwIfAborted();
  pacing.done(`${count(paced.sent)} events to ${instant(paced.lastTime ?? LABELS_TO)}`);
  return { sent: unlimited.sent + paced.sent, planted, unlimited, paced, featureMs };
}

const SETTLE_WITHIN_MS = 90_000;

/** Waits until the archive holds what was sent; a row that never comes is told by the checks. */
async function settle({ context }: Stage, measures: Measures, sent: number) {
  const progress = context.output.progress('archive', { total: sent, unit: 'records' });
  const until = performance.now() + SETTLE_WITHIN_MS;
  for (;;) {
    const counts = await measures.counts();
    const archived = counts.accepted + counts.refused.reduce((sum, { records }) => sum + records, 0);
    progress.update(archived);
    const complete = archived >= sent && counts.predictions >= counts.requests;
    if (complete || performance.now() > until) {
      progress[complete ? 'done' : 'fail'](
        `${count(archived)} records, ${count(counts.predictions)} predictions`,
      );
      return counts;
    }
    await Promise.race([new Promise((done) => setTimeout(done, 250)), aborted(context.signal)]);
  }
}

interface Told {
  readonly imported: Awaited<ReturnType<typeof load>>;
  readonly backfilled: Awaited<ReturnType<typeof build>>;
  readonly trained: Awaited<ReturnType<typeof learn>>;
  readonly replayed: Played;
  readonly counts: Awaited<ReturnType<Measures['counts']>>;
  readonly embedded: boolean;
}

async function tell(stage: Stage, measures: Measures, told: Told): Promise<Omit<Report, 'elapsed'>> {
  const { context, project, model, platform, file, source } = stage;
  const { imported, backfilled, trained, replayed, counts, embedded } = told;
  const progress = context.output.progress('report');
  const quality = await measures.quality(HISTORY_TO, { from: HISTORY_TO, to: REPLAY_TO, asOf: LABELS_TO });
  const { paced, unlimited, featureMs } = replayed;
  const report: Omit<Report, 'elapsed'> = {
    project: project.name,
    prefix: project.prefix,
    embedded,
    history: {
      rows: file.rows,
      duplicates: file.duplicates,
      events: imported.accepted,
      from: imported.from,
      to: imported.to,
      ms: imported.ms,
    },
    backfill: backfilled,
    training: {
      rows: trained.dataSet.rows,
      sampledFrom: await measures.matured(HISTORY_TO),
      features: model.features.length,
      epochs: trained.fitted.trained.epochs.length,
      backend: trained.fitted.backend.name,
      ms: trained.finishedAt - trained.startedAt,
    },
    replay: {
      from: HISTORY_TO,
      to: paced.lastTime ?? LABELS_TO,
      ms: paced.finishedAt - unlimited.startedAt,
      unlimited: { events: unlimited.sent, ms: unlimited.finishedAt - unlimited.startedAt },
      sent: replayed.sent,
      planted: replayed.planted,
      accepted: counts.accepted,
      rejected: counts.refused,
      requests: counts.requests,
      predictions: counts.predictions,
      refusedPredictions: counts.refusals,
      refusedContributions: counts.refusedContributions,
    },
    quality,
    latency: {
      eventToPrediction: await measures.predictionLatency(PACED_FROM),
      eventToFeature: {
        p50: quantileOf(featureMs, 0.5),
        p99: quantileOf(featureMs, 0.99),
        count: featureMs.length,
      },
      pace: (paced.sent * 1_000) / Math.max(1, paced.finishedAt - paced.startedAt),
    },
    storage: await measures.storage(platform),
    checks: checksOf(counts, replayed, plantedByCode(file, source)),
  };
  progress.done();
  return report;
}

function plantedByCode(file: HistoryFile, source: Source): ReadonlyMap<string, number> {
  const byCode = new Map<string, number>();
  const keyOf = () => '';
  const kinds = plantedCounts(
    file,
    { from: HISTORY_TO, to: REPLAY_TO },
    { source, seed: SEED, each: PLANTED_EACH, keyOf },
  );
  for (const [kind, records] of Object.entries(kinds)) {
    const code = PLANTED[kind as keyof typeof PLANTED];
    byCode.set(code, (byCode.get(code) ?? 0) + records);
  }
  return byCode;
}

function checksOf(
  counts: Told['counts'],
  { sent }: Played,
  planted: ReadonlyMap<string, number>,
): Report['checks'] {
  const refused = counts.refused.reduce((sum, { records }) => sum + records, 0);
  const late = counts.refused.reduce((sum, { code, records }) => sum + (code === 'late' ? records : 0), 0);
  const found = new Map(counts.refused.map((one) => [one.code, one.planted]));
  return [
    {
      says: `raw ${count(sent)} = accepted ${count(counts.accepted)} + rejected ${count(refused - late)} + late ${count(late)}`,
      holds: sent === counts.accepted + refused,
    },
    {
      says: `${count(counts.requests)} requests, ${count(counts.predictions)} predictions, one each`,
      holds: counts.requests === counts.predictions,
    },
    {
      says: `each of the ${count([...planted.values()].reduce((a, b) => a + b, 0))} planted bad records was refused for its own reason`,
      holds: [...planted].every(([code, records]) => found.get(code) === records),
    },
    { says: 'no request was refused', holds: counts.refusals.length === 0 },
  ];
}

function warehouseUrl(platform: Platform, project: Project): string {
  return 'url' in platform.warehouse && typeof platform.warehouse.url === 'string'
    ? platform.warehouse.url
    : project.connections.clickhouse.url;
}
