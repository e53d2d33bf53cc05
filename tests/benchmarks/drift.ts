import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { loadProject } from '../../config/load.ts';
import { ensureTables, removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import { detailOf } from '../../monitoring/measures.ts';
import { buildDataSets } from '../../pipelines/training/dataset.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import type { Model } from '../../schemas/project.ts';
import { DAY } from '../../schemas/time.ts';
import { importHistory } from '../../streams/history/import.ts';
import { poissonBound } from '../models/drift/score-rule.ts';
import { learn, type Plant, part, plantWorld, runTicks, type TickRun, writeWorld } from './drift-world.ts';

const HELP = `Monitoring on real flights: a model of January and February, watched from 19 March to 30 June 2001.

1. False alarms of drift on quiet weeks, named before looking, beside the declared budget.
2. Planted drifts: is each found, is it named first, how late.
3. What was estimated without labels beside what came, by week.

  --rows N   seeded sample of the flights of the half year (default 500000; 0 = all 2.9 million)
  --json     JSON instead of tables
`;

/** Named before looking; the clocks changed on 1 April, a storm came on 6 April. The reference lies before each. */
const QUIET = [
  { from: Date.UTC(2001, 3, 23), to: Date.UTC(2001, 4, 21) },
  { from: Date.UTC(2001, 4, 28), to: Date.UTC(2001, 5, 25) },
];
const LEARNT = { from: Date.UTC(2001, 0, 8), to: Date.UTC(2001, 2, 19) };
const LIVE = { from: Date.UTC(2001, 2, 19), to: Date.UTC(2001, 6, 1) };
/** Day on which the drifts are planted, in the first quiet stretch. */
const PLANTED = Date.UTC(2001, 4, 9);
const WATCHED_DAYS = 3;
/** Days measured before it: how far labels move by themselves shows from the fifth on. */
const WARM_DAYS = 7;

const element = (place: number, sql: string) =>
  `arrayMap((value, i) -> if(i = ${place}, ${sql}, value), vector, arrayEnumerate(vector))`;

const PLANTS: readonly Plant[] = [
  {
    name: 'shift',
    what: 'distance is told in kilometres',
    subjects: () => ['distance'],
    vector: (place) => element(place('distance'), 'value * 1.609'),
  },
  {
    name: 'rename',
    what: 'ORD is called XRD: nothing is known of it',
    subjects: (model) => [
      'origin',
      'destination',
      ...model.features.map(({ name }) => name).filter((name) => /^(origin|destination)/.test(name)),
    ],
    event: {
      origin: `if(origin = 'ORD', 'XRD', origin)`,
      destination: `if(destination = 'ORD', 'XRD', destination)`,
    },
  },
  {
    name: 'nulls',
    what: 'a third of origin.late_1h is missing',
    subjects: () => ['origin.late_1h', 'late_now'],
    vector: (place) => element(place('origin.late_1h'), 'if(cityHash64(request_id) % 3 = 0, nan, value)'),
  },
  {
    name: 'stuck',
    what: 'origin.late_1h does not move any more',
    subjects: () => ['origin.late_1h'],
    vector: (place) => element(place('origin.late_1h'), '0.2'),
  },
  {
    name: 'flip',
    what: 'half of the labels say the opposite',
    subjects: () => ['label'],
    event: { delay: `if(type = 'flight.arrived' AND cityHash64(id) % 2 = 0, if(delay > 15, 0, 30), delay)` },
  },
];

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '500000' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});

if (values.help === true) process.stdout.write(HELP);
else await main();

async function main(): Promise<void> {
  const say = (message: string) => process.stderr.write(`${message}\n`);
  const started = performance.now();
  const project = loadProject('config', { environment: {}, prefix: 'driftbench' });
  const [model] = project.models;
  const [history] = project.history;
  const source = project.sources.find(({ name }) => name === history?.source);
  if (model === undefined || history === undefined || source === undefined)
    throw new Error('the flights have a model and a history');
  const warehouse = await createMemoryWarehouse();
  try {
    await ensureTables(warehouse, project);
    say('importing the flights');
    const file = await openHistory(history, source, null);
    const imported = await importHistory({
      project,
      warehouse,
      source,
      file,
      from: null,
      to: null,
      now: Date.now(),
    });
    say('making their vectors');
    const rows = Number(values.rows);
    const sample = rows === 0 ? null : { maxRows: rows, seed: 7 };
    const [data] = await buildDataSets({
      project,
      model,
      warehouse,
      selections: [{ from: LEARNT.from, to: LIVE.to, asOf: imported.to, sample }],
    });
    if (data === undefined) throw new Error('one selection gives one data set');
    const width = model.features.length;
    const training = part(data, LEARNT.from, LEARNT.to, width);
    say(`learning from ${training.labels.length} flights`);
    const learnt = await learn(project, model, training);
    const live = part(data, LIVE.from, LIVE.to, width);
    await writeWorld(warehouse, project, model, learnt, training, live);
    say(`watching ${live.labels.length} flights`);
    const runs = await runTicks(warehouse, project, model, learnt.bytes, LIVE.from, LIVE.to);

    const planted: PlantReport[] = [];
    for (const plant of PLANTS) {
      say(`planting: ${plant.what}`);
      const own = { ...project, prefix: `driftbench-${plant.name}` };
      const since = PLANTED - (WARM_DAYS + 15) * DAY;
      const until = PLANTED + WATCHED_DAYS * DAY;
      await plantWorld(warehouse, project, own, model, plant, { since, planted: PLANTED, until });
      const watched = await runTicks(
        warehouse,
        own,
        model,
        learnt.bytes,
        PLANTED - WARM_DAYS * DAY,
        until + DAY,
      );
      planted.push(foundIn(plant, model, watched));
      await removeTables(warehouse, own.prefix);
    }
    const report = {
      machine: { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version },
      seconds: Math.round((performance.now() - started) / 1_000),
      flightsADay: Math.round(live.labels.length / ((LIVE.to - LIVE.from) / DAY)),
      tickCpuMs: {
        median: quantile(
          runs.map(({ cpuMs }) => cpuMs),
          0.5,
        ),
        most: quantile(
          runs.map(({ cpuMs }) => cpuMs),
          1,
        ),
      },
      quiet: QUIET.map((range) => quietReport(runs, range, model)),
      planted,
      weeks: weeksOf(runs),
    };
    if (values.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
    else for (const line of linesOf(report)) process.stdout.write(`${line}\n`);
  } finally {
    await warehouse.close();
  }
}

function quantile(list: readonly number[], share: number): number {
  const sorted = [...list].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
}

function isFired({ kind, fired }: Measure): boolean {
  return kind === 'drift' && fired;
}

interface QuietReport {
  readonly from: number;
  readonly to: number;
  readonly windows: number;
  readonly alarms: ReadonlyArray<{ readonly window: number; readonly subject: string; readonly why: string }>;
  readonly budget: number;
  /** Most that the budget explains, 95 %. */
  readonly bound: number;
  /** What alerting on every change of the declared least effect would have fired. */
  readonly everyChange: number;
}

function quietReport(
  runs: readonly TickRun[],
  range: { readonly from: number; readonly to: number },
  model: Model,
): QuietReport {
  const all = runs.flatMap(({ measures }) =>
    measures.filter(({ kind, from, to }) => kind === 'drift' && from >= range.from && to <= range.to),
  );
  const { drift, every } = model.monitoring;
  const budget = (drift.falseAlarmsPerMonth * (range.to - range.from)) / (30 * DAY);
  const changes = all.filter(
    ({ statistic, subject, value }) =>
      statistic === drift.statistic && !drift.calendar.includes(subject) && (value ?? 0) >= drift.minEffect,
  );
  return {
    ...range,
    windows: (range.to - range.from) / every,
    alarms: all
      .filter(isFired)
      .map((one) => ({ window: one.from, subject: one.subject, why: String(detailOf(one).why) })),
    budget,
    bound: poissonBound(budget),
    everyChange: changes.length,
  };
}

interface PlantReport {
  readonly name: string;
  readonly what: string;
  /** Windows after the first planted one at whose tick it was found; null = not. */
  readonly ticksLate: number | null;
  readonly first: string | null;
  readonly namedFirst: boolean;
  readonly alarms: number;
  readonly why: string;
}

function foundIn(plant: Plant, model: Model, runs: readonly TickRun[]): PlantReport {
  const { every } = model.monitoring;
  for (const { tick, measures } of runs) {
    const fired = measures
      .filter((one) => isFired(one) && one.to > PLANTED)
      .sort((a, b) => Number(detailOf(a).rank) - Number(detailOf(b).rank));
    const [first] = fired;
    if (first === undefined) continue;
    return {
      name: plant.name,
      what: plant.what,
      ticksLate: Math.round((tick - PLANTED) / every) - 1,
      first: first.subject,
      namedFirst: plant.subjects(model).includes(first.subject),
      alarms: fired.length,
      why: String(detailOf(first).why),
    };
  }
  return {
    name: plant.name,
    what: plant.what,
    ticksLate: null,
    first: null,
    namedFirst: false,
    alarms: 0,
    why: '',
  };
}

interface WeekReport {
  readonly from: number;
  readonly estimate: number;
  readonly truth: number;
  readonly windows: number;
  /** Of all figures of the week's windows. */
  readonly figures: number;
  readonly covered: number;
}

/** Estimates as they were made, beside what came; means over the week's windows of the log loss. */
function weeksOf(runs: readonly TickRun[]): WeekReport[] {
  const known = runs.flatMap(({ measures }) =>
    measures.filter((one) => one.kind === 'estimate' && detailOf(one).covered !== undefined),
  );
  const newest = new Map<string, Measure>();
  for (const one of known) newest.set(`${one.from} ${one.statistic}`, one);
  const weeks = new Map<number, Measure[]>();
  for (const one of newest.values()) {
    const week = LIVE.from + Math.floor((one.from - LIVE.from) / (7 * DAY)) * 7 * DAY;
    weeks.set(week, [...(weeks.get(week) ?? []), one]);
  }
  return [...weeks].map(([from, all]) => {
    const losses = all.filter(({ statistic }) => statistic === 'log_loss');
    const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
    return {
      from,
      estimate: mean(losses.map(({ value }) => value ?? 0)),
      truth: mean(losses.map((one) => Number(detailOf(one).truth))),
      windows: losses.length,
      figures: all.length,
      covered: all.filter((one) => detailOf(one).covered === true).length,
    };
  });
}

type DriftReport = {
  readonly seconds: number;
  readonly flightsADay: number;
  readonly tickCpuMs: { readonly median: number; readonly most: number };
  readonly quiet: readonly QuietReport[];
  readonly planted: readonly PlantReport[];
  readonly weeks: readonly WeekReport[];
};

function linesOf({ seconds, flightsADay, tickCpuMs, quiet, planted, weeks }: DriftReport): string[] {
  const day = (time: number) => new Date(time).toISOString().slice(0, 10);
  const covered = weeks.reduce((sum, week) => sum + week.covered, 0);
  const figures = weeks.reduce((sum, week) => sum + week.figures, 0);
  return [
    `${flightsADay} flights a day; a tick took ${tickCpuMs.median} ms of CPU (median), ${tickCpuMs.most} at most`,
    '',
    'Quiet weeks',
    ...quiet.flatMap((one) => [
      `  ${day(one.from)} to ${day(one.to)}: ${one.alarms.length} false alarms in ${one.windows} windows; budget ${one.budget.toFixed(2)}, at most ${one.bound} (95 %); every change of the least effect: ${one.everyChange}`,
      ...one.alarms.map(({ window, subject, why }) => `    ${day(window)} ${subject}: ${why}`),
    ]),
    '',
    `Planted on ${day(PLANTED)}`,
    ...planted.map(({ what, ticksLate, first, namedFirst, alarms, why }) =>
      ticksLate === null
        ? `  ${what}: not found`
        : `  ${what}: found ${ticksLate === 0 ? 'at its first tick' : `${ticksLate} ticks later`}; first named ${first}${namedFirst ? '' : ' (wrong)'}, ${alarms} alarms. ${why}`,
    ),
    '',
    'Log loss estimated without labels, and what came (means of the days)',
    ...weeks.map(
      (week) =>
        `  week of ${day(week.from)}: estimated ${week.estimate.toFixed(4)}, came ${week.truth.toFixed(4)}; ${week.covered} of ${week.figures} figures within their 95 % intervals`,
    ),
    `  in all ${covered} of ${figures} (${((100 * covered) / Math.max(1, figures)).toFixed(1)} %)`,
    '',
    `${seconds} s in all`,
  ];
}
