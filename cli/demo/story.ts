import { PLANTED, plantedCounts } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { CommandContext } from '../command.ts';
import { count } from '../format.ts';
import { quantileOf } from '../probe.ts';
import type { Report } from '../report.ts';
import { serveConsole } from './console.ts';
import { tellLoop } from './loop.ts';
import { createMeasures, type Measures } from './measure.ts';
import { HISTORY_TO, LABELS_TO, PACED_FROM, PLANTED_EACH, REPLAY_TO, SEED } from './plan.ts';
import { type Played, play, settle } from './play.ts';
import { type AlertReceiver, startReceiver } from './receiver.ts';
import { type Closing, prepare, type Stage } from './stage.ts';
import { build, learn, load, startStreams } from './steps.ts';

export interface Demo {
  readonly report: Report;
  readonly project: Project;
  readonly model: Model;
  /** Of the console, or of the API where no console was built; null where neither answers. */
  readonly watchUrl: string | null;
  /** Of ClickHouse, for a person's SQL. */
  readonly warehouseUrl: string;
  /** Stops the streams, and the stack where this demo started it. */
  close(): Promise<void>;
}

/** From nothing to a report, every step with its progress. What was started is stopped again when a step fails. */
export async function runDemo(given: CommandContext, options: { readonly embedded: boolean }): Promise<Demo> {
  const began = performance.now();
  const closing: Closing[] = [];
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    const receiver = await startReceiver();
    closing.push(receiver.close);
    const context = deliveredTo(given, receiver);
    const stage = await prepare(context, options.embedded, closing);
    const { project, source, model, platform } = stage;
    const watchUrl = await serveConsole(stage, options.embedded, closing);
    const imported = await load(stage, HISTORY_TO);
    const backfilled = await build(stage, HISTORY_TO);
    const trained = await learn(stage, { to: HISTORY_TO, by: 'millrace demo' });
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
      receiver,
    });
    return {
      report: { ...report, elapsed: performance.now() - began },
      project,
      model,
      watchUrl,
      warehouseUrl: warehouseUrl(platform, project),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Told {
  readonly imported: Awaited<ReturnType<typeof load>>;
  readonly backfilled: Awaited<ReturnType<typeof build>>;
  readonly trained: Awaited<ReturnType<typeof learn>>;
  readonly replayed: Played;
  readonly counts: Awaited<ReturnType<Measures['counts']>>;
  readonly embedded: boolean;
  readonly receiver: AlertReceiver;
}

/** Alerts go to the demo's receiver, unless the person has one. */
function deliveredTo(context: CommandContext, receiver: AlertReceiver): CommandContext {
  const { environment } = context;
  const variables = {
    MILLRACE_WEBHOOK_URL: receiver.url,
    MILLRACE_ALLOW_PRIVATE: receiver.address,
    ...environment.variables,
  };
  return { ...context, environment: { ...environment, variables } };
}

async function tell(stage: Stage, measures: Measures, told: Told): Promise<Omit<Report, 'elapsed'>> {
  const { context, project, model, platform, file, source } = stage;
  const { imported, backfilled, trained, replayed, counts, embedded, receiver } = told;
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
      epochs: trained.fitted.trained.rounds,
      backend: trained.fitted.backend.name,
      ms: trained.finishedAt - trained.startedAt,
    },
    replay: {
      from: HISTORY_TO,
      to: paced.lastTime ?? LABELS_TO,
      ms: paced.finishedAt - unlimited.startedAt,
      unlimited: {
        events: unlimited.sent,
        ms: unlimited.finishedAt - unlimited.startedAt - replayed.watchedMs,
      },
      watchedMs: replayed.watchedMs,
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
    loop: await tellLoop({
      project,
      model,
      warehouse: platform.warehouse,
      log: await createModelRegistry({
        kafka: platform.kafka,
        codec: (await platform.codecs()).models,
        prefix: project.prefix,
      }).log(),
      received: receiver.received(),
    }),
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
