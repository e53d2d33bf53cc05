import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Selection } from '../../streams/archive/label-query.ts';
import { buildDataSets } from '../training/dataset.ts';
import { type DataSetPair, decodeDataSets, encodeDataSets } from './data-file.ts';
import { done, needed, type StepContext, StepRefused, type StepWork } from './tools.ts';

/** Two data sets, pinned: the file holds them, and where it is gone they are built again and must hash the same. */
export interface DataSetResult {
  /** SHA-256 of the file. */
  readonly file: string;
  readonly training: Pinned;
  /** The latest part, which nothing learns from. */
  readonly test: Pinned;
  /** Event time up to which anything is known. */
  readonly asOf: number;
}

interface Pinned {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  /** Of query, range and rows. */
  readonly hash: string;
  readonly asOf: number;
  readonly maxRows: number;
}

/** Data sets of the newest runs stay as files: 50 MB each on the flights. */
const KEPT = 3;

/** What was known at the run's event time: requests of the last so long, cut where the test part begins. */
export const datasetStep: StepWork = async (context) => {
  const { model, call, dataSets } = context;
  const { eventTime } = call.run;
  const { last, max_rows: maxRows } = call.step.step.with;
  const cut = eventTime - model.rollout.gate.testLast;
  // The last so long, but nothing from before what the model declares: there its windows are not whole.
  const earliest = model.training.from;
  const from =
    typeof last === 'number'
      ? Math.max(eventTime - last, earliest ?? Number.NEGATIVE_INFINITY)
      : (earliest ?? (await firstRequest(context)));
  if (from >= cut)
    throw new StepRefused(
      `From ${iso(from)} to ${iso(eventTime)} nothing is left to learn from, since the gate tests on the last ${days(model.rollout.gate.testLast)}: give the step a longer 'last', or the gate a shorter test_last.`,
    );
  const most = typeof maxRows === 'number' ? maxRows : model.sample.maxRows;
  const pair = await build(context, [
    // What was known when its range ended; a label that came later is the future.
    { from, to: cut, asOf: cut, sample: { maxRows: most, seed: model.sample.seed } },
    { from: cut, to: eventTime, asOf: eventTime, sample: { maxRows: most, seed: model.sample.seed } },
  ]);
  const { training, test } = pair;
  if (training.labels.length === 0)
    throw new StepRefused(
      `Between ${iso(from)} and ${iso(cut)} there is no ${model.request.eventType} whose ${model.label.eventType} had come by ${iso(cut)}: import history, or start a run at a later time.`,
    );
  const { sha256 } = await dataSets.put(encodeDataSets(pair));
  await dataSets.prune(KEPT);
  const pinned = (set: typeof training, asOf: number): Pinned => ({
    from: set.from,
    to: set.to,
    rows: set.labels.length,
    hash: set.hash,
    asOf,
    maxRows: most,
  });
  const result: DataSetResult = {
    file: sha256,
    training: pinned(training, cut),
    test: pinned(test, eventTime),
    asOf: eventTime,
  };
  const rows = (n: number) => n.toLocaleString('en-US');
  return done(
    result,
    `${rows(training.labels.length)} rows from ${iso(from)}, ${rows(test.labels.length)} to test on from ${iso(cut)}`,
  );
};

/** The data sets that the `dataset` step before this one pinned. */
export async function dataSetsOf(context: StepContext): Promise<DataSetPair & { pinned: DataSetResult }> {
  const pinned = needed<DataSetResult>(context, 'dataset');
  try {
    return { ...decodeDataSets(await context.dataSets.get(pinned.file)), pinned };
  } catch {
    context.call.note('the file of the data set is not here: building it again');
  }
  const { seed } = context.model.sample;
  const selection = ({ from, to, asOf, maxRows }: Pinned) => ({ from, to, asOf, sample: { maxRows, seed } });
  const pair = await build(context, [selection(pinned.training), selection(pinned.test)]);
  const other = pair.training.hash !== pinned.training.hash || pair.test.hash !== pinned.test.hash;
  if (other)
    throw new StepRefused(
      `The data set of run ${context.call.run.id} was built again and is another one now (its hash differs): events or definitions changed since. Start a new run.`,
    );
  await context.dataSets.put(encodeDataSets(pair));
  return { ...pair, pinned };
}

async function build(context: StepContext, selections: readonly Selection[]): Promise<DataSetPair> {
  const { project, model, warehouse, call, signal } = context;
  const [training, test] = await buildDataSets({
    project,
    model,
    warehouse,
    selections,
    keep: true,
    signal,
    progress: (step) => {
      if (step.step === 'vectors')
        call.note(`${Math.floor((100 * step.vectors) / Math.max(1, step.of))} % of the vectors`);
    },
  });
  if (training === undefined || test === undefined) throw new Error('two selections give two data sets');
  return { training, test };
}

async function firstRequest({ project, model, warehouse }: StepContext): Promise<number> {
  const [row] = await warehouse.query<{ rows: number; first: number }>(
    `SELECT count() AS rows, min(toUnixTimestamp64Milli(time)) AS first FROM ${quoteName(tables.events(project.prefix, model.request.source))}`,
  );
  if (row === undefined || row.rows === 0)
    throw new StepRefused(
      `The archive of ${model.request.source} is empty: import history first (millrace import).`,
    );
  return row.first;
}

const iso = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z');
const days = (ms: number) => `${Math.round((ms / 86_400_000) * 10) / 10} days`;
