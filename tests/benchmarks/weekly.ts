import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { describeFailure, EXIT } from '../../cli/errors.ts';
import { instantOption } from '../../cli/options.ts';
import { loadProject } from '../../config/load.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import { buildDataSets, type DataSet } from '../../pipelines/training/dataset.ts';
import type { Model } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { importHistory } from '../../streams/history/import.ts';
import { runWeeks } from './weekly/loop.ts';
import { JANUARY, replayWeeks } from './weekly/replay.ts';
import { replayLines } from './weekly/replay-report.ts';
import { weeklyLines } from './weekly/report.ts';

const HELP = `What weekly retraining is worth: the flights from 8 January to 30 June 2001, week by week.

Each Monday a candidate learns from what is known by then, passes the gate or not, shadows the champion and is promoted,
refused or rolled back by the same rules as live. A model of January that never changes runs beside it.

By default the rules are called as functions, on vectors made from the archive:

  --rows N       seeded sample of all flights (default 1000000; 0 = all 2.9 million)
  --trainer T    trees, dense or logistic (default: what the model declares)
  --train-rows N most rows a training takes (default: what the model declares)
  --last DAYS    how far back a training looks (default 75)
  --json         JSON instead of a table

With --replay all flights go through a local stack of its own, with monitoring, pipelines, shadow and guard as they run live:

  --replay       an hour or more on two cores; needs Java, and some 20 GB for a while
  --from TIME    the flights before it are history (default 2001-02-05, when January's four weeks are known)
  --to TIME      (default 2001-07-01)
  --trainer T    of the January model and the pipeline (default: what the pipeline declares), as are
  --train-rows N
  --keep DIR     leave the stack running, its data in DIR
  --kept DIR     only the table, of a replay that was kept there; --from and --to as it had them
  --json
`;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    trainer: { type: 'string' },
    'train-rows': { type: 'string' },
    last: { type: 'string', default: '75' },
    json: { type: 'boolean' },
    replay: { type: 'boolean' },
    from: { type: 'string', default: '2001-02-05' },
    to: { type: 'string', default: '2001-07-01' },
    keep: { type: 'string' },
    kept: { type: 'string' },
    help: { type: 'boolean' },
  },
});

const FROM = Date.UTC(2001, 0, 8);
const TO = Date.UTC(2001, 6, 1);

const started = performance.now();

if (values.help === true) process.stdout.write(HELP);
else if (values.replay === true) await replayed();
else await main();

async function replayed(): Promise<void> {
  const abort = new AbortController();
  const end = () => {
    // Somebody who asks twice means it.
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    abort.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  try {
    const report = await replayWeeks({
      json: values.json ?? false,
      from: Math.max(JANUARY.to, instantOption(values.from)),
      to: instantOption(values.to),
      trainer: values.trainer ?? null,
      trainRows: values['train-rows'] === undefined ? null : Number(values['train-rows']),
      keep: values.keep ?? null,
      kept: values.kept ?? null,
      signal: abort.signal,
    });
    print(report, replayLines(report));
  } catch (error) {
    const failure = describeFailure(error, true);
    process.stderr.write(`${failure.message}\n`);
    process.exitCode = failure.exitCode;
  }
  // A connection that somebody forgot to close must not keep a finished bench alive.
  process.exit();
}

async function main(): Promise<void> {
  const say = (message: string) => process.stderr.write(`${message}\n`);
  const project = loadProject('config', { environment: {}, prefix: 'weekly' });
  const [declared] = project.models;
  const { sources } = project;
  const [history] = project.history;
  if (declared === undefined || history === undefined)
    throw new Error('the flights have a model and a history');
  const source = sources.find(({ name }) => name === history.source);
  if (source === undefined) throw new Error(`no source ${history.source}`);
  const model: Model =
    values.trainer === undefined || values.trainer === declared.trainer.name
      ? declared
      : { ...declared, trainer: { name: values.trainer as Model['trainer']['name'], parameters: {} } };

  const warehouse = await createMemoryWarehouse();
  let all: DataSet | undefined;
  try {
    await ensureTables(warehouse, project);
    say('importing the flights');
    const file = await openHistory(history, source, null);
    const { to } = await importHistory({
      project,
      warehouse,
      source,
      file,
      from: null,
      to: null,
      now: Date.now(),
    });
    say('making the vectors of the flights, as live would have read them');
    const rows = Number(values.rows);
    [all] = await buildDataSets({
      project,
      model,
      warehouse,
      selections: [{ from: FROM, to: TO, asOf: to, sample: rows === 0 ? null : { maxRows: rows, seed: 5 } }],
    });
  } finally {
    await warehouse.close();
  }
  if (all === undefined) throw new Error('one selection gives one data set');
  say(`${all.labels.length} flights in ${Math.round((performance.now() - started) / 1_000)} s`);
  const report = await runWeeks({
    project,
    model,
    data: all,
    trainRows: Number(values['train-rows'] ?? model.sample.maxRows),
    last: Number(values.last) * DAY,
    say,
  });
  print(report, weeklyLines(report));
}

function print(report: object, lines: readonly string[]): void {
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version };
  const seconds = Math.round((performance.now() - started) / 1_000);
  if (values.json === true) process.stdout.write(`${JSON.stringify({ machine, seconds, ...report })}\n`);
  else for (const line of [...lines, '', `${seconds} s in all`]) process.stdout.write(`${line}\n`);
}
