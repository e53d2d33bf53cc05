import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError, loadProject } from '../../config/load.ts';
import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { rawTopic, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import { readTails } from '../runtime/tail.ts';
import type { Change, Declared } from './change.ts';

/*
 * What was applied under a prefix, in order: `apply` appends the project's sources, views and models where the
 * project differs from the last one, so that a process that runs a changed project knows the views and models that answered before.
 */

/** A definition as it was applied: the text of each file by its path, those of connections apart. */
interface Definition {
  readonly format: 1;
  /** Of the project, as in its manifests. */
  readonly hash: string;
  /** Of every raw topic, where the one who applied it said so instead of the files. */
  readonly partitions: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, string>>;
}

export class UnknownDefinition extends MillraceError {
  readonly code = 'unknown_definition';
  readonly retriable = false;
}

interface DefinitionsDeps {
  readonly project: Project;
  readonly kafka: Kafka;
}

/** Keeps the definition when a project is applied. */
export function declaredDefinition(deps: DefinitionsDeps): Declared {
  const { project, kafka } = deps;
  const topic = topics.definitions(project.prefix);
  return {
    kind: 'definition',
    async plan() {
      const last = (await readDefinitions(deps)).at(-1);
      const same = last?.hash === project.hash;
      const moved = last === undefined || same ? null : movedSource(deps, last);
      if (moved !== null) return [{ kind: 'definition', name: topic, action: 'conflict', detail: moved }];
      const detail = last === undefined ? 'the first' : same ? 'as applied before' : changedViews(deps, last);
      return [{ kind: 'definition', name: topic, action: same ? 'keep' : 'create', detail } satisfies Change];
    },
    async apply() {
      const last = (await readDefinitions(deps)).at(-1);
      if (last?.hash === project.hash) return;
      const checkpoint = new Checkpoint({ kafka });
      try {
        const value = Buffer.from(JSON.stringify(definitionOf(project)));
        await checkpoint.flush({
          outputs: [[{ topic, partition: 0, key: Buffer.from(project.hash), value }]],
        });
      } finally {
        await checkpoint.close();
      }
    },
  };
}

/** Definitions in the order in which they were applied; none where the topic is not there yet. */
export async function readDefinitions({ project, kafka }: DefinitionsDeps): Promise<Definition[]> {
  const topic = topics.definitions(project.prefix);
  const admin = await kafka.admin();
  const known = (await admin.topics().finally(() => admin.close())).some(({ name }) => name === topic);
  if (!known) return [];
  const [tail = []] = await readTails(kafka, topic, Number.MAX_SAFE_INTEGER);
  return tail.flatMap(decode);
}

function decode({ value }: KafkaRecord): Definition[] {
  if (value === null) return [];
  const parsed = JSON.parse(Buffer.from(value).toString()) as { format?: unknown };
  if (parsed.format !== 1)
    throw new UnknownDefinition(
      `A definition that was applied has format ${String(parsed.format)}; this version of Millrace reads format 1. Run the version that applied it.`,
    );
  return [parsed as Definition];
}

/** The project of a definition, on the connections of the one that asks; null where it no longer loads. */
export function loadDefinition(definition: Definition, like: Project): Project | null {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-definition-'));
  try {
    for (const [path, text] of Object.entries(definition.files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), text);
    }
    const counts = [...new Set(Object.values(definition.partitions))];
    const declared = { environment: {}, prefix: like.prefix, connections: like.connections };
    const project = loadProject(directory, declared);
    const [count] = counts;
    const asApplied = project.sources.every(
      ({ name, partitions }) => definition.partitions[name] === partitions,
    );
    return asApplied || count === undefined
      ? project
      : loadProject(directory, { ...declared, partitions: count });
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function definitionOf(project: Project): Definition {
  return {
    format: 1,
    hash: project.hash,
    partitions: Object.fromEntries(project.sources.map(({ name, partitions }) => [name, partitions])),
    files: filesOf(project.directory),
  };
}

const FOLDERS = ['sources', 'views', 'features', 'models'];

/** What makes views and models. The rest belongs to who runs it, and may name secrets of an environment. */
function filesOf(directory: string): Record<string, string> {
  const paths = FOLDERS.filter((folder) => existsSync(join(directory, folder))).flatMap((folder) =>
    readdirSync(join(directory, folder))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => `${folder}/${name}`),
  );
  return Object.fromEntries(
    ['project.yaml', ...paths].map((path) => [path, readFileSync(join(directory, path), 'utf8')]),
  );
}

/** Why the project may not follow the last one: a source reads another topic than it did. Null where it may. */
function movedSource({ project }: DefinitionsDeps, last: Definition): string | null {
  const before = loadDefinition(last, project);
  for (const source of project.sources) {
    const known = before?.sources.find(({ name }) => name === source.name);
    if (known === undefined) continue;
    const [was, is] = [known, source].map((one) => rawTopic(project.prefix, one));
    if (was !== is)
      return `The source '${source.name}' reads ${was}, and would read ${is}: its progress, its events and every view's marks are counted by that topic. Declare a source of another name for ${is}, or start under another prefix.`;
  }
  return null;
}

function changedViews(deps: DefinitionsDeps, last: Definition): string {
  const before = loadDefinition(last, deps.project);
  if (before === null) return 'the one before no longer loads, so nothing of it goes on answering';
  const known = new Set(before.views.map(({ id }) => id));
  const names = deps.project.views.filter(({ id }) => !known.has(id)).map(({ name }) => name);
  if (names.length === 0) return 'other files; every view stays as it is';
  return `${names.length === 1 ? 'view' : 'views'} ${names.join(', ')} in a new version: the one before goes on answering until the new one has caught up: by itself when its windows have filled, or at once by 'millrace backfill state --view ${names.join(' ')} --replace --to TIME' while 'millrace run' feeds it`;
}
