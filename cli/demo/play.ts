import { createLoopLimit } from '../../streams/replay/loop-limit.ts';
import { type ReplayResult, replay } from '../../streams/replay/replay.ts';
import { count, day, instant } from '../format.ts';
import { startFeatureProbe } from '../probe.ts';
import { demoItems, inParts } from './items.ts';
import type { Measures } from './measure.ts';
import { HISTORY_TO, LABELS_TO, OPENING_PACE, OPENING_TO, PACE, PACED_FROM, REPLAY_TO } from './plan.ts';
import { aborted } from './processes.ts';
import type { Stage } from './stage.ts';

export interface Played {
  readonly sent: number;
  readonly planted: number;
  /** While the model learnt from the whole history. */
  readonly opening: ReplayResult;
  readonly unlimited: ReplayResult;
  /** Of the unlimited part: waits for monitoring and what it started, ms. */
  readonly watchedMs: number;
  readonly paced: ReplayResult;
  readonly featureMs: Float64Array;
}

/** The replay of all days, in three parts that go one after another. */
export async function openPlay({ context, project, platform, source, model, file }: Stage) {
  const { kafka, store, clock, warehouse } = platform;
  const deps = { project, kafka, store, codecs: await platform.codecs(), clock };
  let planted = 0;
  const part = inParts(
    demoItems(file, source, model, (records) => {
      planted += records;
    }),
  );
  const options = {
    source: source.name,
    signal: context.signal,
    waitLimitMs: 120_000,
    // At each tick of event time the replay waits until monitoring, and what it started, are through.
    loop: createLoopLimit({ warehouse, project }),
  };
  return { context, deps, source, part, options, file, planted: () => planted };
}

type Play = Awaited<ReturnType<typeof openPlay>>;

/** The first day, slowly, until `grown` is true. */
export function playOpening({ deps, part, options }: Play, grown: () => boolean): Promise<ReplayResult> {
  return replay(deps, {
    ...options,
    name: `${deps.project.prefix}-opening`,
    items: part(({ time }) => time >= OPENING_TO || grown()),
    speed: OPENING_PACE,
  });
}

/** As fast as it is answered, then the last day at a pace, with its latencies measured. */
export async function playOn(play: Play, opening: ReplayResult): Promise<Played> {
  const { unlimited, watchedMs } = await playUnlimited(play, opening);
  const { paced, featureMs } = await playPaced(play);
  const sent = opening.sent + unlimited.sent + paced.sent;
  return { sent, planted: play.planted(), opening, unlimited, watchedMs, paced, featureMs };
}

async function playUnlimited({ context, deps, part, options, file }: Play, opening: ReplayResult) {
  const { output, signal } = context;
  const watching = stopwatch();
  const racing = output.progress('replay, unlimited', {
    total: file.count({ from: opening.lastTime ?? HISTORY_TO, to: PACED_FROM }),
    unit: 'events',
  });
  const unlimited = await replay(deps, {
    ...options,
    name: `${deps.project.prefix}-unlimited`,
    items: part(({ time }) => time >= PACED_FROM),
    speed: Number.POSITIVE_INFINITY,
    onProgress: ({ sent, eventTime, tick }) => {
      watching.at(tick);
      racing.update(sent, tick === null ? instant(eventTime) : `watching ${day(tick - 1)}`);
    },
  });
  signal.throwIfAborted();
  const watchedMs = watching.total();
  const rate = (unlimited.sent * 1_000) / (unlimited.finishedAt - unlimited.startedAt - watchedMs);
  racing.done(
    `${count(unlimited.sent)} events to ${day(PACED_FROM - 1)}, ${count(rate)}/s through the whole path while nothing was waited for`,
  );
  return { unlimited, watchedMs };
}

async function playPaced({ context, deps, source, part, options, file }: Play) {
  const { output, signal } = context;
  const pacing = output.progress(`replay, ${count(PACE)}x`, {
    total: file.count({ from: PACED_FROM, to: REPLAY_TO }),
    unit: 'events',
  });
  const probe = await startFeatureProbe({ ...deps, source });
  const paced = await replay(deps, {
    ...options,
    name: `${deps.project.prefix}-paced`,
    items: part(() => false),
    speed: PACE,
    onProgress: ({ sent, eventTime, tick }) =>
      pacing.update(sent, tick === null ? instant(eventTime) : `watching ${day(tick - 1)}`),
  }).finally(() => probe.stop());
  const featureMs = await probe.stop();
  signal.throwIfAborted();
  pacing.done(`${count(paced.sent)} events to ${instant(paced.lastTime ?? LABELS_TO)}`);
  return { paced, featureMs };
}

/** Wall time for which the replay stood at a tick, ms. */
export function stopwatch() {
  let since: number | null = null;
  let sum = 0;
  return {
    at(tick: number | null) {
      if (tick !== null) since ??= performance.now();
      else if (since !== null) {
        sum += performance.now() - since;
        since = null;
      }
    },
    total() {
      this.at(null);
      return sum;
    },
  };
}

const SETTLE_WITHIN_MS = 90_000;

/** Waits until the archive holds what was sent; a row that never comes is told by the checks. */
export async function settle({ context }: Stage, measures: Measures, sent: number) {
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
