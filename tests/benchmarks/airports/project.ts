import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadProject } from '../../../config/load.ts';
import { airportRecords } from '../../../docs/examples/airports/generate.ts';
import type { StackAddresses } from '../../../infrastructure/local/stack.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { registerVersion } from '../../../pipelines/rollout/moves.ts';
import { openServers, type Platform } from '../../../platform/platform.ts';
import { partitionOf } from '../../../processors/partition.ts';
import { topics } from '../../../schemas/names.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import { topicSpecs } from '../../../streams/apply/apply.ts';
import { fitDeclared, fitPlain } from './model.ts';
import { type Landing, landingOf } from './windows.ts';

export const DIRECTORY = resolve(import.meta.dirname, '../../../docs/examples/airports');

export function airportsProject(stack: StackAddresses, name: string): Project {
  return loadProject(DIRECTORY, {
    environment: {},
    prefix: `bench-${name}-${randomUUID().slice(0, 8)}`,
    connections: {
      kafka: { brokers: stack.kafka, tls: false, sasl: null },
      redis: { url: stack.redis },
      registry: { url: stack.registry },
      clickhouse: { url: stack.clickhouse, database: 'default' },
    },
  });
}

export interface Airports {
  readonly project: Project;
  readonly model: Model;
  readonly platform: Platform;
  /** Records in the raw topic, and how many of them are good. */
  readonly records: number;
  readonly good: number;
}

const CHUNK = 5_000;
/** Records whose vectors the models learn from. */
const LEARN = 50_000;

/** Topics, the raw one full, and a champion; the yardstick's model in `plainModel`. */
export async function prepareAirports(
  stack: StackAddresses,
  name: string,
  options: { readonly records: number; readonly data: string; readonly plainModel: string },
): Promise<Airports> {
  const project = airportsProject(stack, name);
  const [model] = project.models;
  const [source] = project.sources;
  if (model === undefined || source === undefined) throw new Error('the example has a source and a model');
  const platform = openServers(project, { artefacts: join(options.data, 'artefacts') });
  const admin = await platform.kafka.admin();
  await admin.createTopics(topicSpecs(project)).finally(() => admin.close());
  const topic = topics.raw(project.prefix, source.name);
  const producer = await platform.kafka.producer();
  const landings: Landing[] = [];
  let good = 0;
  let chunk: Parameters<typeof producer.send>[0][number][] = [];
  const flush = async () => {
    await producer.send(chunk);
    chunk = [];
  };
  for await (const { key, value } of airportRecords(options.records)) {
    const landing = landingOf(value);
    if (typeof landing !== 'string') {
      good += 1;
      if (landings.length < LEARN) landings.push(landing);
    }
    const partition = partitionOf(key, source.partitions);
    chunk.push({ topic, partition, key: Buffer.from(key), value: Buffer.from(value) });
    if (chunk.length === CHUNK) await flush();
  }
  await flush();
  await producer.close();
  writeFileSync(options.plainModel, JSON.stringify(await fitPlain(landings)));
  await registerChampion(platform, project, model, landings);
  return { project, model, platform, records: options.records, good };
}

async function registerChampion(
  platform: Platform,
  project: Project,
  model: Model,
  landings: readonly Landing[],
): Promise<void> {
  const { location, sha256 } = await platform.artefacts.put(await fitDeclared(project, model, landings));
  const { models: codec } = await platform.codecs();
  await registerVersion(
    createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
    { model: model.name, artefact: sha256, location, layout: model.layoutHash, as: 'champion' },
    { by: 'bench', reason: 'bench' },
  );
}

/** Removes what the project made on the servers. */
export async function removeAirports({ project, platform }: Airports): Promise<void> {
  const admin = await platform.kafka.admin();
  await admin.deleteTopics(topicSpecs(project).map(({ name }) => name)).finally(() => admin.close());
  const keys: string[] = [];
  for await (const key of platform.store.scan(`mr:{${project.prefix}.`)) keys.push(key);
  await platform.store.remove(keys);
  await platform.close();
}
