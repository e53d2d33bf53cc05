import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { loadProject } from '../../config/load.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import type { Model } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { importHistory } from '../../streams/history/import.ts';
import { buildDataSets, type DataSet } from '../../streams/training/dataset.ts';
import { runWeeks } from './weekly-loop.ts';
import { weeklyLines } from './weekly-report.ts';

const HELP = `What weekly retraining is worth: the flights from 8 January to 30 June 2001, week by week.

Each Monday a candidate learns from what is known by then, passes the gate or not, shadows the champion and is promoted,
refused or rolled back by the same rules as live. A model of January that never changes runs beside it.

  --rows N       seeded sample of all flights (default 1000000; 0 = all 2.9 million)
  --trainer T    trees, dense or logistic (default: what the model declares)
  --train-rows N most rows a training takes (default: what the model declares)
  --last DAYS    how far back a training looks (default 75)
  --json         JSON instead of a table
`;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    trainer: { type: 'string' },
    'train-rows': { type: 'string' },
    last: { type: 'string', default: '75' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});

const FROM = Date.UTC(2001, 0, 8);
const TO = Date.UTC(2001, 6, 1);

if (values.help === true) process.stdout.write(HELP);
else await main();

async function main(): Promise<void> {
  const say = (message: string) => process.stderr.write(`${message}\n`);
  const started = performance.now();
  const project = loadProject('config', { environment: {}, prefix: 'weekly' });
  const [declared] = project.models;
  const { history, sources } = project;
  if (declared === undefined || history === null) throw new Error('the flights have a model and a history');
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
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version };
  const seconds = Math.round((performance.now() - started) / 1_000);
  if (values.json === true) process.stdout.write(`${JSON.stringify({ machine, seconds, ...report })}\n`);
  else
    for (const line of [...weeklyLines(report), '', `${seconds} s in all`]) process.stdout.write(`${line}\n`);
}
