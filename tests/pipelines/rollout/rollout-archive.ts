import { loadProject } from '../../../config/load.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { createModelRegistry, type ModelRegistry } from '../../../infrastructure/registry/models.ts';
import { tables, topics } from '../../../schemas/names.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import type { ModelVersion } from '../../../schemas/records/model-version.ts';
import { DAY, MINUTE } from '../../../schemas/time.ts';

/** A flight each minute, made by ClickHouse itself from the number of the minute: enough for tests that bet. */
export const BEGIN = Date.UTC(2001, 2, 1);
export const DAYS = 16;

/** In [0, 1), for a minute and a purpose. */
const chance = (purpose: number) => `(cityHash64(number, ${purpose}) % 1000003) / 1000003`;
const TRUTH = `(0.05 + 0.9 * ${chance(1)})`;
const logit = (p: string) => `log(${p} / (1 - ${p}))`;

/** How well a version knows the chance of each flight. */
export const SKILLS = {
  /** The truth. */
  best: TRUTH,
  /** About .02 nats worse. */
  good: `1 / (1 + exp(-(${logit(TRUTH)} + 0.75 * (${chance(3)} - 0.5))))`,
  /** Far worse. */
  poor: `1 / (1 + exp(-(${logit(TRUTH)} + 4 * (${chance(4)} - 0.5))))`,
  /** Refuses every second request. */
  refusing: `if(${chance(5)} < 0.5, NULL, ${TRUTH})`,
} as const;
export type Skill = keyof typeof SKILLS;

const codec = {
  encode: (version: ModelVersion) => Buffer.from(JSON.stringify(version)),
  read: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as ModelVersion,
};

export interface RolloutArchive {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: MemoryWarehouse;
  /** An empty registry of its own. */
  registry(): Promise<ModelRegistry>;
  /** A version's scores of the requests of some minutes, as answers or beside them. */
  score(
    where: 'predictions' | 'shadow',
    version: number,
    skill: Skill,
    range?: { readonly from?: number; readonly to?: number },
  ): Promise<void>;
  clear(): Promise<void>;
}

export async function rolloutArchive(): Promise<RolloutArchive> {
  const project = loadProject('config', { environment: {}, prefix: 'rollout-test' });
  const [model] = project.models;
  if (model === undefined) throw new Error('the flights project has a model');
  const warehouse = await createMemoryWarehouse();
  await ensureTables(warehouse, project);
  const { prefix } = project;
  const time = `fromUnixTimestamp64Milli(toInt64(${BEGIN} + number * ${MINUTE}))`;
  const events = tables.events(prefix, model.request.source);
  const rows = (DAYS * DAY) / MINUTE;
  const keys = [...new Set(model.reads.flatMap(({ key }) => key))];
  await warehouse.command(
    `INSERT INTO ${events} (id, type, time, flight_id, ${keys.join(', ')}, source_offset)
     SELECT concat('f', toString(number), ':d'), 'flight.departed', ${time}, concat('f', toString(number)), ${keys.map(() => "'A'").join(', ')}, number * 2
     FROM numbers(${rows})`,
  );
  // An hour later; those of every hundredth flight never come.
  await warehouse.command(
    `INSERT INTO ${events} (id, type, time, flight_id, delay, source_offset)
     SELECT concat('f', toString(number), ':a'), 'flight.arrived', ${time} + INTERVAL 1 HOUR, concat('f', toString(number)),
       if(${chance(2)} < ${TRUTH}, 30, 0), number * 2 + 1
     FROM numbers(${rows}) WHERE number % 100 != 7`,
  );
  let registries = 0;
  return {
    project,
    model,
    warehouse,
    async registry() {
      registries += 1;
      const kafka = createMemoryBroker({ now: Date.now, sleep: async () => {} }).kafka();
      const admin = await kafka.admin();
      await admin.createTopics([
        { name: topics.models(prefix), partitions: 1, retentionMs: -1, compacted: true },
      ]);
      return createModelRegistry({ kafka, codec, prefix, now: () => registries });
    },
    async score(where, version, skill, { from = BEGIN, to = BEGIN + DAYS * DAY } = {}) {
      await warehouse.command(
        `INSERT INTO ${tables[where](prefix, model.name)} (id, request_id, request_time, status, model, model_version, score, source_offset)
         SELECT concat('f', toString(number), ':d:', '${model.name}', '${where === 'shadow' ? `:v${version}` : ''}'), concat('f', toString(number), ':d'), ${time},
           if(score IS NULL, 'refused', 'scored'), '${model.name}', ${version}, ${SKILLS[skill]} AS score, number * 2
         FROM numbers(${(from - BEGIN) / MINUTE}, ${(to - from) / MINUTE})`,
      );
    },
    async clear() {
      for (const where of ['predictions', 'shadow'] as const)
        await warehouse.command(`TRUNCATE TABLE ${tables[where](prefix, model.name)}`);
    },
  };
}
