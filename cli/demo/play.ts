import { type ReplayResult, replay } from '../../streams/replay.ts';
import { count, day, instant } from '../format.ts';
import { startFeatureProbe } from '../probe.ts';
import { demoItems, splitItems } from './items.ts';
import type { Measures } from './measure.ts';
import { HISTORY_TO, LABELS_TO, PACE, PACED_FROM, REPLAY_TO } from './plan.ts';
import { aborted } from './processes.ts';
import type { Stage } from './stage.ts';

export interface Played {
  readonly sent: number;
  readonly planted: number;
  readonly unlimited: ReplayResult;
  readonly paced: ReplayResult;
  readonly featureMs: Float64Array;
}

/** The replay: as fast as it is answered, then the last day at a pace, with its latencies measured. */
export async function play(stage: Stage): Promise<Played> {
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
