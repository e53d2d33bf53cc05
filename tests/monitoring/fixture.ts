import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { createRandom } from '../../models/random.ts';
import { writeReference } from '../../monitoring/drift/references.ts';
import { writeMeasures } from '../../monitoring/measures.ts';
import { writeTick } from '../../monitoring/progress.ts';
import { createTickMemory, measureTick, type TickMemory } from '../../monitoring/tick.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { DAY, HOUR } from '../../schemas/time.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { tripsProject } from '../infrastructure/clickhouse/project.ts';

/** Orders that are paid late or not: a made-up model with a known truth, scored by that truth. */

export const START = Date.UTC(2024, 0, 1);
const FEATURES = ['shop.late_7d', 'shop.amount_1d', 'hour', 'amount', 'weight', 'fixed'] as const;
const SHOPS = ['anna', 'bert', 'carl', 'dora', 'emil'];

const source: Source = {
  name: 'orders',
  partitions: 1,
  format: { kind: 'avro' },
  fields: [
    { name: 'order', type: 'string' },
    { name: 'shop', type: 'string' },
    { name: 'amount', type: 'double' },
    { name: 'late', type: 'bool' },
  ],
  events: [
    { name: 'placed', required: [], rules: [] },
    { name: 'paid', required: [], rules: [] },
  ],
  key: 'order',
  outOfOrderness: 1_000,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
  maxFuture: null,
};

export function ordersProject(monitoring: Partial<Model['monitoring']> = {}): Project {
  const project = tripsProject(source);
  const [late] = project.models;
  if (late === undefined) throw new Error('the fixture has a model');
  const model: Model = {
    ...late,
    name: 'risk',
    request: { source: 'orders', eventType: 'placed' },
    reads: [
      { name: 'shop', view: 'shop', key: ['shop'], zone: null, defaults: {}, optional: false, maxAge: null },
    ],
    features: FEATURES.map((name, i) =>
      name.startsWith('shop.')
        ? { kind: 'stored', name, read: 0, feature: i }
        : { kind: 'on_demand', name, expression: null, evaluate: () => null },
    ),
    layoutHash: 'orders-1',
    label: {
      source: 'orders',
      eventType: 'paid',
      join: [{ label: 'order', request: 'order' }],
      evaluate: (event) => event.late as boolean | null,
      maturity: 0,
      within: null,
      which: 'first',
    },
    monitoring: {
      every: DAY,
      reference: 14 * DAY,
      labelWait: 2 * DAY,
      confidence: 0.95,
      slices: [
        {
          name: 'shop',
          by: 'shop',
          evaluate: (event) => event.shop as string | null,
          minRows: 50,
          atMost: 500,
        },
      ],
      drift: {
        statistic: 'psi',
        minEffect: 0.1,
        minCount: 200,
        falseDiscoveryRate: 0.05,
        falseAlarmsPerMonth: 1,
        calendar: ['hour'],
      },
      ...monitoring,
    },
  };
  return { ...project, models: [model] };
}

/** What is planted from a day on. */
export interface Plant {
  /** Day from START. */
  readonly from: number;
  readonly to?: number;
  readonly what: 'shift' | 'rename' | 'nulls' | 'flip' | 'stuck' | 'silence' | 'one_class' | 'no_labels';
}

export interface World {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** Writes the day's orders, their labels and their predictions. */
  day(day: number): Promise<void>;
  /** Measures the tick at the end of a day, and keeps what it measured. */
  tick(day: number): Promise<readonly Measure[]>;
}

const ORDERS_A_DAY = 1_200;

export async function createWorld(
  warehouse: Warehouse,
  options: {
    readonly plants?: readonly Plant[];
    readonly seed?: number;
    readonly project?: Project;
    /** Rows that the version learnt from, of the 14 days before START. */
    readonly reference?: boolean;
    readonly memory?: TickMemory;
  } = {},
): Promise<World> {
  const { plants = [], seed = 1, reference = true } = options;
  const project = options.project ?? ordersProject();
  const [model] = project.models;
  if (model === undefined) throw new Error('the fixture has a model');
  await ensureTables(warehouse, project);
  const { prefix } = project;
  const memory = options.memory ?? createTickMemory();
  const iso = (time: number) => new Date(time).toISOString();
  let offset = 0;

  const planted = (day: number, what: Plant['what']) =>
    plants.some((plant) => plant.what === what && day >= plant.from && day < (plant.to ?? Infinity));

  /** Pure function of the day, so that nothing hangs on the order of calls. */
  function orders(day: number) {
    const random = createRandom(seed * 1_000 + day + 500);
    const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    const mood = 0.1 * normal();
    const count = planted(day, 'silence') ? 0 : ORDERS_A_DAY + Math.round(20 * normal());
    return Array.from({ length: count }, (_, i) => {
      const time = START + day * DAY + Math.floor(((i + random.next()) / count) * DAY);
      const shop = SHOPS[Math.floor(random.next() ** 1.5 * SHOPS.length)] ?? 'anna';
      const renamed = planted(day, 'rename') && shop === 'anna';
      const late7 = 0.1 + 0.1 * SHOPS.indexOf(shop) + 0.03 * normal() + 0.02 * mood;
      const amount = Math.exp(3 + normal() + 0.05 * mood + (planted(day, 'shift') ? 1.2 : 0));
      const weight = planted(day, 'stuck') ? 2.5 : 5 + 2 * normal();
      const vector = [
        renamed || (planted(day, 'nulls') && random.next() < 0.6) ? Number.NaN : late7,
        renamed ? Number.NaN : 100 + 20 * normal(),
        Math.floor((time % DAY) / HOUR),
        amount,
        weight,
        1,
      ];
      const logit =
        -2 +
        4 * (Number.isNaN(vector[0] ?? 0) ? 0.3 : (vector[0] ?? 0)) +
        0.5 * Math.log(amount / 20) +
        0.1 * (weight - 5);
      const score = 1 / (1 + Math.exp(-logit));
      const truth = random.next() < score;
      const late = planted(day, 'one_class') ? false : planted(day, 'flip') ? !truth : truth;
      return {
        id: `o${day}-${i}`,
        time,
        shop: renamed ? 'annabel' : shop,
        amount,
        vector,
        score,
        late,
        paidAt: time + HOUR + Math.floor(random.next() * 3 * HOUR),
      };
    });
  }

  if (reference) {
    const rows = Array.from({ length: 14 }, (_, i) => orders(i - 14)).flat();
    await writeReference(warehouse, project, model, {
      version: 1,
      artefact: 'a'.repeat(64),
      ids: rows.map(({ id }) => id),
      times: Float64Array.from(rows, ({ time }) => time),
      rows: Float64Array.from(rows.flatMap(({ vector }) => vector)),
      scoreOf: (row) => rows[row]?.score ?? Number.NaN,
      labels: Uint8Array.from(rows, ({ late }) => (late ? 1 : 0)),
    });
    for (let day = -14; day < 0; day++) await writeEvents(orders(day), 'import');
  }

  async function writeEvents(all: ReturnType<typeof orders>, importId = ''): Promise<void> {
    const base = () => ({
      import_id: importId,
      source_topic: 'raw',
      source_partition: 0,
      source_offset: offset++,
      append_time: iso(START),
      archived_partition: importId === '' ? 0 : -1,
      archived_offset: importId === '' ? offset : -1,
    });
    const unlabelled = planted(Math.floor(((all[0]?.time ?? 0) - START) / DAY), 'no_labels');
    const rows = all.flatMap(({ id, time, shop, amount, late, paidAt }) => [
      { id, type: 'placed', time: iso(time), order: id, shop, amount, ...base() },
      ...(unlabelled
        ? []
        : [{ id: `${id}-paid`, type: 'paid', time: iso(paidAt), order: id, shop, late, ...base() }]),
    ]);
    if (rows.length > 0)
      await warehouse.insert(tables.events(prefix, 'orders'), rows, { token: `${all[0]?.id} ${importId}` });
  }

  return {
    project,
    model,
    warehouse,
    async day(day) {
      const all = orders(day);
      await writeEvents(all);
      const rows = all.map(({ id, time, vector, score }, i) => ({
        id: `${id}:risk`,
        request_id: id,
        request_time: iso(time),
        status: 'scored',
        model: 'risk',
        model_version: 1,
        artefact: 'a'.repeat(64),
        score,
        decision: score >= model.threshold,
        layout: model.layoutHash,
        vector: vector.map((value) => (Number.isNaN(value) ? 'nan' : value)),
        reads: [
          {
            read: 'shop',
            view: 'shop@1',
            entity: 'x',
            head: iso(time),
            as_of: iso(time),
            sketch_as_of: null,
            age_ms: 1_000 + i,
          },
        ],
        source_partition: 0,
        source_offset: day * 10_000 + i,
        raw_append_time: iso(time + 50),
        append_time: iso(time + 60),
        archived_partition: 0,
        archived_offset: day * 10_000 + i,
      }));
      if (rows.length > 0)
        await warehouse.insert(tables.predictions(prefix, 'risk'), rows, { token: `p${day}` });
    },
    async tick(day) {
      const tick = START + (day + 1) * DAY;
      const deps = {
        project,
        warehouse,
        telemetry: SILENT,
        artefacts: { get: () => Promise.reject(new Error('none kept')) },
      };
      const measures = await measureTick(deps, tick, memory);
      await writeMeasures(warehouse, prefix, `tick ${tick}`, measures, START);
      await writeTick(warehouse, prefix, tick, 'finished', {}, START);
      return measures;
    },
  };
}
