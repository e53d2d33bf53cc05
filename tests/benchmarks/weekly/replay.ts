import { readRuns } from '../../../cli/demo/loop.ts';
import { createMeasures } from '../../../cli/demo/measure.ts';
import { settle, stopwatch } from '../../../cli/demo/play.ts';
import type { Closing, Stage } from '../../../cli/demo/stage.ts';
import { build, launchStreams, learn, load, untilStarted } from '../../../cli/demo/steps.ts';
import { count, day, instant } from '../../../cli/format.ts';
import { plant } from '../../../infrastructure/readers/planted.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../../models/artefact.ts';
import { createScorer, type Scorer } from '../../../models/scorer.ts';
import { DAY } from '../../../schemas/time.ts';
import { createLoopLimit } from '../../../streams/replay/loop-limit.ts';
import { replay } from '../../../streams/replay/replay.ts';
import { WEEK } from './figures.ts';
import { type Happened, happenedTo, promotionsOf } from './happened.ts';
import { measureWeeks } from './measure.ts';
import type { WeeklyReport } from './report.ts';
import { openStage, type StageOptions } from './stage.ts';

/** The four weeks that the January model learns from. */
export const JANUARY = { from: Date.UTC(2001, 0, 8), to: Date.UTC(2001, 1, 5) };

export interface ReplayReport extends WeeklyReport {
  readonly from: number;
  readonly to: number;
  readonly january: {
    readonly trainer: string;
    readonly rows: number;
    readonly from: number;
    readonly to: number;
  };
  readonly happened: readonly Happened[];
  /** Null where the table is of a replay that was kept. */
  readonly replayed: Replayed | null;
}

interface Replayed {
  readonly events: number;
  readonly seconds: number;
  /** Of them waits for monitoring and pipelines. */
  readonly watchedSeconds: number;
  readonly requests: number;
  readonly predictions: number;
  readonly refused: number;
}

interface Options extends StageOptions {
  /** Event time, epoch ms: history before it is imported, and the weeks of the table begin there. */
  readonly from: number;
  readonly to: number;
}

/**
 * The flights through the real stack, every stream in a process of its own, held at each tick until monitoring and the
 * pipelines are through; then the table of what ClickHouse and the registry have of it.
 */
export async function replayWeeks(options: Options): Promise<ReplayReport> {
  const closing: Closing[] = [];
  try {
    const stage = await openStage(options, closing);
    const replayed = options.kept === null ? await play(stage, options, closing) : null;
    return { ...(await tell(stage, options)), replayed };
  } finally {
    for (const one of closing.reverse()) await one();
  }
}

async function play(stage: Stage, { from, to }: Options, closing: Closing[]): Promise<Replayed> {
  await load(stage, from);
  await build(stage, from);
  await learn(stage, { ...JANUARY, by: 'millrace train' });
  const streams = await untilStarted(stage, launchStreams(stage, false), false);
  closing.push(streams.stop);
  const measures = createMeasures(stage.project, stage.source, stage.model, stage.platform.warehouse);
  const { sent, seconds, watchedSeconds } = await Promise.race([send(stage, from, to + DAY), streams.failed]);
  const { requests, predictions, refusals } = await Promise.race([
    settle(stage, measures, sent),
    streams.failed,
  ]);
  await streams.stop();
  const refused = refusals.reduce((sum, one) => sum + one.predictions, 0);
  return { events: sent, seconds, watchedSeconds, requests, predictions, refused };
}

/** A day more than the table shows, so that its last flights have landed. */
async function send(stage: Stage, from: number, to: number) {
  const { context, project, platform, source, file } = stage;
  const { kafka, store, clock, warehouse } = platform;
  const range = { from, to };
  const progress = context.output.progress('replay', { total: file.count(range), unit: 'events' });
  const watching = stopwatch();
  const result = await replay(
    { project, kafka, store, codecs: await platform.codecs(), clock },
    {
      source: source.name,
      name: project.prefix,
      items: plant(file, range, { source, seed: 0, each: 0, keyOf: (event) => String(event[source.key]) }),
      speed: Number.POSITIVE_INFINITY,
      signal: context.signal,
      loop: createLoopLimit({ warehouse, project }),
      onProgress: ({ sent, eventTime, tick }) => {
        watching.at(tick ?? null);
        progress.update(sent, tick == null ? instant(eventTime) : `watching ${day(tick - 1)}`);
      },
    },
  );
  context.signal.throwIfAborted();
  const seconds = Math.round((result.finishedAt - result.startedAt) / 1_000);
  const watchedSeconds = Math.round(watching.total() / 1_000);
  progress.done(`${count(result.sent)} events, ${count(watchedSeconds)} s of it watching`);
  return { sent: result.sent, seconds, watchedSeconds };
}

async function tell(stage: Stage, { from, to, signal }: Options): Promise<Omit<ReplayReport, 'replayed'>> {
  const { context, project, platform, model } = stage;
  const { warehouse, artefacts, kafka } = platform;
  const { models: codec } = await platform.codecs();
  const history = await createModelRegistry({ kafka, codec, prefix: project.prefix }).history(model.name);
  const artefactOf = async (version: number) => {
    const address = history.versions.find((one) => one.version === version)?.artefact;
    if (address === undefined) throw new Error(`the registry knows no version ${version}`);
    return parseArtefact(await artefacts.get(address), address);
  };
  const scorers = new Map<number, Scorer>();
  const scorerOf = async (version: number) => {
    const scorer = scorers.get(version) ?? createScorer(await artefactOf(version), model.layoutHash);
    scorers.set(version, scorer);
    return scorer;
  };
  const happened = happenedTo(history, await readRuns(warehouse, project.prefix));
  const progress = context.output.progress('table', { total: Math.ceil((to - from) / DAY), unit: 'days' });
  const measured = await measureWeeks({
    project,
    model,
    warehouse,
    from,
    to,
    january: await scorerOf(1),
    promotions: promotionsOf(history),
    scorerOf,
    onDay: (at) => progress.update(Math.floor((at - from) / DAY), day(at)),
    signal,
  });
  progress.done();
  const { manifest } = await artefactOf(1);
  const retrained = project.pipelines.flatMap(({ steps }) => steps).find(({ kind }) => kind === 'train')
    ?.trainer?.name;
  return {
    ...measured,
    trainer: retrained ?? model.trainer.name,
    from,
    to,
    january: { trainer: manifest.trainer.name, rows: manifest.dataset?.rows ?? 0, ...JANUARY },
    weeks: measured.weeks.map((week) => ({
      ...week,
      events: happened.filter(({ at }) => at >= week.from && at < week.from + WEEK).map(({ short }) => short),
    })),
    refusals: happened.filter(({ kind }) => kind === 'refused').length,
    rollbacks: happened.filter(({ kind }) => kind === 'rolled back').length,
    happened,
  };
}
