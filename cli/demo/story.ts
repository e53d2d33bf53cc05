import { PLANTED, plantedCounts } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { CommandContext } from '../command.ts';
import { count } from '../format.ts';
import { quantileOf } from '../probe.ts';
import type { Report } from '../report.ts';
import { tellLoop } from './loop.ts';
import { createMeasures, type Measures } from './measure.ts';
import { type Begun, begin, firstAnswer, type Grown, growUp } from './opening.ts';
import { HISTORY_TO, LABELS_TO, PACED_FROM, PLANTED_EACH, REPLAY_TO, SEED } from './plan.ts';
import { openPlay, type Played, playOn, playOpening, settle } from './play.ts';
import { type AlertReceiver, startReceiver } from './receiver.ts';
import { type Closing, type Prepared, prepare, type Stage } from './stage.ts';

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
    const begun = await begin(stage, options.embedded, closing);
    const { streams } = begun;
    const measures = createMeasures(project, source, model, platform.warehouse);
    const { grown, replayed, answeredMs } = await Promise.race([
      playAll(stage, options.embedded),
      streams.failed,
    ]);
    const counts = await Promise.race([settle(stage, measures, replayed.sent), streams.failed]);
    const report = await tell(stage, measures, {
      begun,
      grown,
      answeredMs,
      replayed,
      counts,
      embedded: options.embedded,
      receiver,
    });
    return {
      report: { ...report, elapsed: performance.now() - began },
      project,
      model,
      watchUrl: stage.watchUrl,
      warehouseUrl: warehouseUrl(platform, project),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The first day while the model learns from the whole history, then all other days. */
async function playAll(stage: Prepared, embedded: boolean) {
  const play = await openPlay(stage);
  let learnt = false;
  const opening = playOpening(play, () => learnt);
  opening.catch(() => {});
  const answeredMs = await Promise.race([firstAnswer(stage), failureOf(opening)]);
  const grown = await growUp(stage, embedded).finally(() => {
    learnt = true;
  });
  return { grown, answeredMs, replayed: await playOn(play, await opening) };
}

/** Rejects where the work fails, and never resolves. */
const failureOf = (work: Promise<unknown>): Promise<never> => work.then(() => new Promise<never>(() => {}));

interface Told {
  readonly begun: Begun;
  readonly grown: Grown;
  readonly answeredMs: number;
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
  const { begun, grown, replayed, counts, embedded, receiver } = told;
  const { first } = begun;
  const { second } = grown;
  const progress = context.output.progress('report');
  const quality = await measures.quality(HISTORY_TO, { from: HISTORY_TO, to: REPLAY_TO, asOf: LABELS_TO });
  const { paced, opening, unlimited, featureMs } = replayed;
  const report: Omit<Report, 'elapsed'> = {
    project: project.name,
    prefix: project.prefix,
    embedded,
    history: {
      rows: file.rows,
      duplicates: file.duplicates,
      events: begun.imported.accepted + grown.imported.accepted,
      from: grown.imported.from,
      to: begun.imported.to,
      ms: begun.imported.ms + grown.imported.ms,
    },
    backfill: begun.backfilled,
    opening: {
      answeredMs: told.answeredMs,
      rows: first.rows,
      trainingMs: first.ms,
      events: opening.sent,
      ms: opening.finishedAt - opening.startedAt,
    },
    training: {
      rows: second.rows,
      sampledFrom: await measures.matured(HISTORY_TO),
      features: model.features.length,
      epochs: second.epochs,
      backend: second.backend,
      ms: second.ms,
    },
    replay: {
      from: HISTORY_TO,
      to: paced.lastTime ?? LABELS_TO,
      ms: paced.finishedAt - opening.startedAt,
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
