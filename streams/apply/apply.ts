import type { Admin, Kafka, TopicSpec } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { reachOf } from '../../processors/window.ts';
import { rawTopic, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { topicsOfSource } from '../runtime/partitions.ts';
import type { Change, Declared } from './change.ts';
import { foreignSources, planForeign } from './foreign-topics.ts';
import { mendTimestamps, planTimestamps } from './timestamps.ts';

export class ApplyConflict extends MillraceError {
  readonly code = 'apply_conflict';
  readonly retriable = false;
}

/** Every topic of a project, those among them that sources read and others own. Raw, validated, dead-letter and predictions topics go partition by partition together. */
export function topicSpecs(project: Project): readonly TopicSpec[] {
  const { prefix, retention } = project;
  const spec = (name: string, partitions: number, retentionMs: number): TopicSpec => ({
    name,
    partitions,
    retentionMs,
    compacted: false,
  });
  const partitionsOf = (source: string) =>
    project.sources.find(({ name }) => name === source)?.partitions ?? 1;
  return [
    ...project.sources.flatMap((source) => [
      spec(rawTopic(prefix, source), source.partitions, retention.raw),
      spec(topics.validated(prefix, source.name), source.partitions, retention.validated),
      spec(topics.deadLetters(prefix, source.name), source.partitions, retention.deadLetters),
    ]),
    ...project.views.map((view) =>
      // Features are rebuilt from it, and readers may be a slack behind.
      spec(topics.view(prefix, view.id), view.partitions, reachOf(view) + view.slack + retention.viewExtra),
    ),
    ...project.models.flatMap(({ name, request }) => [
      spec(topics.predictions(prefix, name), partitionsOf(request.source), retention.predictions),
      spec(topics.shadow(prefix, name), partitionsOf(request.source), retention.predictions),
      spec(topics.asked(prefix, name), partitionsOf(request.source), retention.predictions),
    ]),
    // Small, and the one memory of what fires: an alert may fire for longer than any retention.
    spec(topics.alerts(prefix), 1, -1),
    { name: topics.models(prefix), partitions: 1, retentionMs: -1, compacted: true },
    { name: topics.definitions(prefix), partitions: 1, retentionMs: -1, compacted: true },
  ];
}

/** Those that `apply` makes and changes. */
function ownSpecs(project: Project): readonly TopicSpec[] {
  const foreign = foreignSources(project);
  return topicSpecs(project).filter(({ name }) => !foreign.has(name));
}

async function partitionsNow(admin: Admin): Promise<ReadonlyMap<string, number>> {
  return new Map((await admin.topics()).map(({ name, partitions }) => [name, partitions]));
}

/** The project with the partitions of raw topics that have got more than it declares: the topics that go with them get as many. */
function grown(project: Project, existing: ReadonlyMap<string, number>): Project {
  const sources = project.sources.map((source) => {
    const found = existing.get(rawTopic(project.prefix, source)) ?? 0;
    return found > source.partitions ? { ...source, partitions: found } : source;
  });
  return { ...project, sources };
}

async function planTopics(project: Project, admin: Admin): Promise<readonly Change[]> {
  const existing = await partitionsNow(admin);
  const foreign = foreignSources(project);
  const specs = ownSpecs(grown(project, existing));
  const rawTopics = new Set(project.sources.flatMap((source) => topicsOfSource(project, source)));
  const timestamps = await planTimestamps(project, standing(specs, existing), admin);
  const compacted = await compactedOf(specs, existing, admin);
  const changes = specs.map(({ name, partitions }): Change => {
    const found = existing.get(name);
    if (found === undefined)
      return { kind: 'topic', name, action: 'create', detail: partitionsText(partitions) };
    if (compacted.has(name)) return { kind: 'topic', name, action: 'conflict', detail: COMPACTED };
    if (found === partitions)
      return (
        timestamps.get(name) ?? { kind: 'topic', name, action: 'keep', detail: partitionsText(partitions) }
      );
    if (found < partitions && rawTopics.has(name))
      return {
        kind: 'topic',
        name,
        action: 'update',
        detail: `gets ${partitionsText(partitions)}; it has ${found}`,
      };
    return {
      kind: 'topic',
      name,
      action: 'conflict',
      detail: `It has ${found} partitions and the project says ${partitions}: partitions decide where a key lives and cannot be changed in place. Say ${found} in the project, or start under another prefix.`,
    };
  });
  for (const one of foreign) changes.push(await planForeign(project, one, existing.get(one[0]), admin));
  return changes;
}

const COMPACTED =
  'It is compacted (cleanup.policy): Kafka removes an event as soon as another of its key has come, read or not. Set cleanup.policy=delete, or start under another prefix.';

/** Those of the topics that Kafka compacts, and that were not made so by us. */
async function compactedOf(
  specs: readonly TopicSpec[],
  existing: ReadonlyMap<string, number>,
  admin: Admin,
): Promise<ReadonlySet<string>> {
  const whole = specs
    .filter(({ name, compacted }) => !compacted && existing.has(name))
    .map(({ name }) => name);
  const found = await admin.compacted(whole);
  return new Set(whole.filter((_, i) => found[i] === true));
}

const standing = (specs: readonly TopicSpec[], existing: ReadonlyMap<string, number>) =>
  specs.map(({ name }) => name).filter((name) => existing.has(name));

export interface ApplyDeps {
  readonly project: Project;
  readonly kafka: Pick<Kafka, 'admin'>;
  readonly declared: readonly Declared[];
}

/** What `apply` would do, in its order. Changes nothing. */
export async function planProject({ project, kafka, declared }: ApplyDeps): Promise<readonly Change[]> {
  const admin = await kafka.admin();
  try {
    const changes = [...(await planTopics(project, admin))];
    for (const part of declared) changes.push(...(await part.plan()));
    return changes;
  } finally {
    await admin.close();
  }
}

/**
 * Makes topics, schemas and tables of a project where they are missing. What is there already is left alone, but for topics
 * with their producers' times: the broker stamps what comes to them from now on. Throws ApplyConflict, TimestampsRefused.
 */
export async function applyProject(deps: ApplyDeps): Promise<readonly Change[]> {
  const changes = await planProject(deps);
  const conflicts = changes.filter(({ action }) => action === 'conflict');
  if (conflicts.length > 0)
    throw new ApplyConflict(
      `Nothing was changed: ${conflicts.map(({ kind, name, detail }) => `${kind} ${name}: ${detail}`).join(' ')}`,
    );
  const admin = await deps.kafka.admin();
  try {
    const existing = await partitionsNow(admin);
    const specs = ownSpecs(grown(deps.project, existing));
    const types = await planTimestamps(deps.project, standing(specs, existing), admin);
    const unstamped = [...types].flatMap(([name, { action }]) => (action === 'update' ? [name] : []));
    await mendTimestamps(deps.project, unstamped, admin);
    await admin.createTopics(specs);
    await admin.addPartitions(
      specs.filter(({ name, partitions }) => (existing.get(name) ?? partitions) < partitions),
    );
  } finally {
    await admin.close();
  }
  for (const part of deps.declared) await part.apply();
  return changes;
}

/** What lies outside under one prefix: schemas and tables remove themselves, and answer how many there were. */
export interface RemoveDeps {
  readonly kafka: Pick<Kafka, 'admin'>;
  readonly store: OnlineStore;
  readonly removeSchemas: (subjectPrefix: string) => Promise<number>;
  readonly removeTables: (prefix: string) => Promise<number>;
}

export interface Removed {
  readonly topics: number;
  readonly groups: number;
  readonly keys: number;
  readonly schemas: number;
  readonly tables: number;
}

const KEYS_A_REMOVE = 500;

/**
 * Removes everything outside that carries the prefix. `own` is the prefix the caller made: any other is
 * refused, so that a wrong argument cannot delete somebody else's project.
 */
export async function removeProject(prefix: string, own: string, deps: RemoveDeps): Promise<Removed> {
  if (prefix !== own || !/^[A-Za-z0-9][A-Za-z0-9_-]{3,}$/.test(prefix))
    throw new ApplyConflict(
      `Refused to remove "${prefix}": only a prefix that this caller made ("${own}") may go.`,
    );
  const belongs = (name: string) => name.startsWith(`${prefix}.`);
  const admin = await deps.kafka.admin();
  try {
    const groups = (await admin.groups()).filter(belongs);
    if (groups.length > 0) await admin.deleteGroups(groups);
    const names = (await admin.topics()).map(({ name }) => name).filter(belongs);
    if (names.length > 0) await admin.deleteTopics(names);
    return {
      topics: names.length,
      groups: groups.length,
      keys: await removeKeys(`mr:{${prefix}.`, deps.store),
      schemas: await deps.removeSchemas(`${prefix}.`),
      tables: await deps.removeTables(prefix),
    };
  } finally {
    await admin.close();
  }
}

async function removeKeys(keyPrefix: string, store: OnlineStore): Promise<number> {
  let removed = 0;
  let page: string[] = [];
  const flush = async () => {
    if (page.length > 0) await store.remove(page);
    removed += page.length;
    page = [];
  };
  for await (const key of store.scan(keyPrefix)) {
    page.push(key);
    if (page.length >= KEYS_A_REMOVE) await flush();
  }
  await flush();
  return removed;
}

const partitionsText = (partitions: number) =>
  partitions === 1 ? '1 partition' : `${partitions} partitions`;
