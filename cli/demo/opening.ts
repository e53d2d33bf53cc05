import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { fitApart } from '../../pipelines/training/fit-apart.ts';
import type { TrainProgress } from '../../pipelines/training/training.ts';
import { tables } from '../../schemas/names.ts';
import { duration } from '../format.ts';
import { learnApart } from './learn-apart.ts';
import { FIRST_MODEL, HISTORY_TO, RECENT_FROM, SECOND_MODEL_FROM } from './plan.ts';
import { aborted, type RunningStreams } from './processes.ts';
import type { Closing, Prepared, Stage } from './stage.ts';
import { build, type Learnt, launchStreams, learn, load, told, untilStarted } from './steps.ts';

const BY = 'millrace demo';
/** Events an insert while the first day is played: the encoding of one holds this thread for a quarter of a second. */
const SMALL_INSERT = 25_000;
const LOOK_EVERY_MS = 200;

export interface Begun {
  readonly imported: Awaited<ReturnType<typeof load>>;
  readonly backfilled: Awaited<ReturnType<typeof build>>;
  readonly first: Learnt;
  readonly streams: RunningStreams;
}

/**
 * The shortest way to a first answer: history as far as windows reach, then at once their state, a small model, and processes for the
 * streams, which take some seconds to start.
 */
export async function begin(stage: Stage, embedded: boolean, closing: Closing[]): Promise<Begun> {
  const imported = await load(stage, HISTORY_TO, { from: RECENT_FROM, label: 'history, the end' });
  const { rows: maxRows, trainer } = FIRST_MODEL;
  const model = { ...stage.model, trainer, sample: { ...stage.model.sample, maxRows } };
  const small = { ...stage, model };
  const lesson = { from: FIRST_MODEL.from, to: HISTORY_TO, by: BY };
  let progress = (_: TrainProgress) => {};
  const learning = embedded ? null : learnApart(small, lesson, (done) => progress(done), true);
  // It is awaited below; what comes before may fail first.
  learning?.catch(() => {});
  const backfilled = await build(stage, HISTORY_TO);
  const launched = launchStreams(stage, embedded);
  closing.push(() => launched.then((streams) => streams.stop()).catch(() => undefined));
  const first =
    learning === null
      ? await learn(small, lesson)
      : await told(stage, (show) => {
          progress = show;
          return learning;
        });
  return { imported, backfilled, first, streams: await untilStarted(stage, launched, embedded) };
}

/** Waits until the archive, and so the console, shows an answer. Milliseconds since the servers were up. */
export async function firstAnswer({ context, project, model, platform, upAt, watchUrl }: Prepared) {
  const progress = context.output.progress('first prediction');
  const sql = `SELECT count() AS rows FROM ${quoteName(tables.predictions(project.prefix, model.name))} WHERE status = 'scored'`;
  for (;;) {
    const [row] = await platform.warehouse.query<{ rows: number }>(sql);
    if (row !== undefined && row.rows > 0) break;
    await Promise.race([new Promise((done) => setTimeout(done, LOOK_EVERY_MS)), aborted(context.signal)]);
  }
  const ms = performance.now() - upAt;
  progress.done(
    `${duration(ms)} after the servers were up${watchUrl?.endsWith('/console/') ? `: ${watchUrl}predictions` : ''}`,
  );
  return ms;
}

export interface Grown {
  readonly imported: Awaited<ReturnType<typeof load>>;
  readonly second: Learnt;
}

/** The rest of the history and the model that learns from all of it, while the first day is played. */
export async function growUp(stage: Stage, embedded: boolean): Promise<Grown> {
  const imported = await load(stage, RECENT_FROM, { batchSize: SMALL_INSERT, label: 'history, the rest' });
  const lesson = { to: HISTORY_TO, effectiveFrom: SECOND_MODEL_FROM, by: BY };
  // The twins are in this thread alone: there it reads the vectors, and only the training is elsewhere.
  const second = await (embedded
    ? learn(stage, lesson, fitApart)
    : told(stage, (progress) => learnApart(stage, lesson, progress)));
  return { imported, second };
}
