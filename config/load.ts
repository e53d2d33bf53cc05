import { resolve } from 'node:path';
import type { z } from 'zod';
import type { Connections, History, Model, Project, Retention, Source } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';
import { alertsSchema, compileAlerts, NO_ALERTS } from './alerting.ts';
import { compileConnections, type Environment } from './connections.ts';
import { type ProjectDeclaration, projectSchema } from './declarations.ts';
import { type ConfigDocument, type Place, parseConfig } from './document.ts';
import { parseDuration } from './durations.ts';
import { hashOf } from './hash.ts';
import { problemsOf } from './issues.ts';
import { compileModel } from './model.ts';
import { type ModelDeclaration, modelSchema } from './model-declaration.ts';
import { mendOfUnknown } from './nearest.ts';
import { compilePipelines, pipelinesSchema } from './pipelines.ts';
import { planView } from './plan.ts';
import { ConfigError } from './problems.ts';
import { checkRawTopics } from './raw-topics.ts';
import { readDocuments, readText } from './read-documents.ts';
import { createReporter, inside, placeOf, type Reporter } from './reporter.ts';
import { checkMemory, compileSource } from './source.ts';
import { type SourceDeclaration, sourceSchema } from './source-declaration.ts';
import { type ViewDeclaration, viewSchema } from './view-declaration.ts';

export { ConfigError, type Problem } from './problems.ts';

export interface LoadOptions {
  /** Values of \`\${env:NAME}\`. The loader itself reads no environment. */
  readonly environment: Environment;
  /** In place of the project's prefix: a run of its own beside others. */
  readonly prefix?: string;
  /** Sections that replace those of `connections.yaml`, whole. */
  readonly connections?: Partial<Connections>;
  /** Partitions of every raw topic, and of the views that do not say their own. */
  readonly partitions?: number;
}

interface Loaded<T> {
  readonly document: ConfigDocument;
  readonly place: Place;
  /** Null where the declaration has another shape than it should, which is reported. */
  readonly declaration: T | null;
  /** The declared name, known even of a broken declaration. */
  readonly name: string | null;
}

function check<S extends z.ZodType>(
  document: ConfigDocument,
  schema: S,
  reporter: Reporter,
  nameKey: string,
): Loaded<z.output<S>> {
  const raw = document.value;
  const name =
    typeof raw === 'object' && raw !== null ? (raw as Record<string, unknown>)[nameKey] : undefined;
  const base = { document, place: placeOf(document), name: typeof name === 'string' ? name : null };
  if (raw === undefined) return { ...base, declaration: null };
  const parsed = schema.safeParse(raw);
  if (parsed.success) return { ...base, declaration: parsed.data };
  for (const problem of problemsOf(document, schema, parsed.error)) reporter.add(problem);
  return { ...base, declaration: null };
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const one of Object.values(value)) freeze(one);
  }
  return value;
}

function reportTwins(
  loaded: ReadonlyArray<Loaded<unknown>>,
  what: string,
  key: string,
  reporter: Reporter,
): void {
  const first = new Map<string, Loaded<unknown>>();
  for (const one of loaded) {
    if (one.name === null) continue;
    const other = first.get(one.name);
    if (other === undefined) first.set(one.name, one);
    else
      reporter.report(
        inside(one.place, key),
        `There are two ${what}s '${one.name}'; the other is in ${other.document.file}.`,
        'Give one another name, or remove it.',
      );
  }
}

/** The declared readers of history; each source has one at most. */
function historiesOf(
  { declaration, place }: Loaded<ProjectDeclaration>,
  root: string,
  sourceNames: ReadonlySet<string>,
  reporter: Reporter,
): History[] {
  const declared = declaration?.history ?? [];
  const list = Array.isArray(declared) ? declared : [declared];
  for (const [i, { source }] of list.entries()) {
    const at = inside(inside(place, 'history'), ...(Array.isArray(declared) ? [i, 'source'] : ['source']));
    if (!sourceNames.has(source))
      reporter.report(at, `There is no source '${source}'.`, mendOfUnknown(source, sourceNames));
    else if (list.findIndex((one) => one.source === source) < i)
      reporter.report(at, `The source '${source}' has two readers of history.`, 'Remove one of them.');
  }
  return list.map(({ reader, source, file }) => ({
    reader,
    source,
    file: file === undefined ? null : resolve(root, file),
  }));
}

/** Kafka deletes what is kept for no time before anybody has read it. */
function checkRetention({ declaration, place }: Loaded<ProjectDeclaration>, reporter: Reporter): void {
  for (const key of ['raw', 'validated', 'predictions', 'dead_letters'] as const)
    if (declaration !== null && parseDuration(declaration.retention[key]) === 0)
      reporter.report(
        inside(place, 'retention', key),
        'What is kept for no time is deleted before it is read.',
        "Write '7d', say.",
      );
}

function retentionOf(declared: ProjectDeclaration['retention']): Retention {
  const ms = (text: string) => parseDuration(text) ?? 0;
  return {
    raw: ms(declared.raw),
    validated: ms(declared.validated),
    predictions: ms(declared.predictions),
    deadLetters: ms(declared.dead_letters),
    viewExtra: ms(declared.view_extra),
    stateExtra: ms(declared.state_extra),
  };
}

/**
 * Loads the project in a directory: every file read, checked, cross-referenced and compiled.
 * Pure apart from reading those files. The result is frozen all the way down.
 *
 * @throws ConfigError with every problem that was found, each with its place and its mend.
 */
export function loadProject(directory: string, options: LoadOptions): Project {
  const reporter = createReporter();
  const root = resolve(directory);
  const documents = readDocuments(root, reporter);
  const inFolder = (...folders: string[]) =>
    [...documents].flatMap(([file, document]) =>
      folders.includes(file.split('/')[0] ?? '') && file.includes('/') ? [document] : [],
    );

  const projectDocument = documents.get('project.yaml');
  if (projectDocument === undefined) {
    if (reporter.problems.some(({ file }) => file === 'project.yaml'))
      throw new ConfigError(sorted(reporter));
    throw new ConfigError([
      {
        file: 'project.yaml',
        line: 1,
        column: 1,
        message: `There is no 'project.yaml' in ${root}.`,
        mend: "Create it with 'name:', or name another directory with --project.",
      },
      ...reporter.problems,
    ]);
  }
  const project = check(projectDocument, projectSchema, reporter, 'name');

  const inline = (project.declaration?.sources ?? []).map(
    (declaration, index): Loaded<SourceDeclaration> => ({
      document: projectDocument,
      place: placeOf(projectDocument, ['sources', index]),
      declaration,
      name: declaration.source,
    }),
  );
  const loadedSources = [
    ...inline,
    ...inFolder('sources').map((document) => check(document, sourceSchema, reporter, 'source')),
  ];
  const loadedViews: Loaded<ViewDeclaration>[] = inFolder('views', 'features').map((document) =>
    check(document, viewSchema, reporter, 'view'),
  );
  const loadedModels: Loaded<ModelDeclaration>[] = inFolder('models').map((document) =>
    check(document, modelSchema, reporter, 'model'),
  );
  reportTwins(loadedSources, 'source', 'source', reporter);
  reportTwins(loadedViews, 'view', 'view', reporter);
  reportTwins(loadedModels, 'model', 'model', reporter);

  const sources = new Map<string, Source>();
  for (const { declaration, place } of loadedSources) {
    if (declaration === null) continue;
    const before = reporter.problems.length;
    const source = compileSource(declaration, place, reporter, options.partitions);
    if (project.declaration !== null)
      checkMemory(declaration, place, reporter, retentionOf(project.declaration.retention).validated);
    // A broken rule leaves a source that views can still be checked against.
    if (reporter.problems.length === before || !sources.has(source.name)) sources.set(source.name, source);
  }
  const sourceNames = new Set(loadedSources.flatMap((one) => one.name ?? []));
  const sourcesBroken = project.declaration === null || loadedSources.some((one) => one.declaration === null);
  if (sourceNames.size === 0 && !sourcesBroken)
    reporter.report(
      placeOf(projectDocument),
      'The project has no sources.',
      "Declare one under 'sources:' or in a file 'sources/NAME.yaml'.",
    );

  const views = new Map<string, View>();
  for (const { declaration, place } of loadedViews) {
    if (declaration === null || (sourcesBroken && sources.size === 0)) continue;
    const view = planView(declaration, place, { sources, sourceNames }, reporter, options.partitions);
    if (view !== null) views.set(view.name, view);
  }
  const viewNames = new Set(loadedViews.flatMap((one) => one.name ?? []));
  const viewsBroken = loadedViews.some(
    ({ declaration, name }) => declaration === null && !/^[a-z][a-z0-9_]*$/.test(name ?? ''),
  );
  const models: Model[] = loadedModels.flatMap(({ declaration, place }) => {
    if (declaration === null) return [];
    const model = compileModel(
      declaration,
      place,
      { sources: [...sources.values()], views, viewNames, viewsBroken, sourcesBroken },
      reporter,
    );
    return model === null ? [] : [model];
  });

  checkRawTopics(
    loadedSources.flatMap(({ name, place }) => {
      const source = sources.get(name ?? '');
      return source === undefined ? [] : [{ source, place }];
    }),
    {
      place: placeOf(projectDocument),
      prefix: options.prefix ?? project.declaration?.prefix ?? project.declaration?.name ?? '',
      views: [...views.values()],
      models,
    },
    reporter,
  );

  checkRetention(project, reporter);
  const history = historiesOf(project, root, sourceNames, reporter);

  const connectionsDocument =
    documents.get('connections.yaml') ?? parseConfig('connections.yaml', '').document;
  const connections = compileConnections(
    connectionsDocument,
    options.environment,
    options.connections ?? {},
    (path) => readText(resolve(root, path)),
    reporter,
  );

  const alertsDocument = documents.get('alerts.yaml');
  const alerts =
    alertsDocument === undefined ? null : check(alertsDocument, alertsSchema, reporter, 'alerts');
  const alerting =
    alerts?.declaration == null
      ? NO_ALERTS
      : compileAlerts(
          alerts.declaration,
          alerts.place,
          connections === null ? null : Object.keys(connections.receivers),
          reporter,
        );
  const pipelinesDocument = documents.get('pipelines.yaml');
  const declaredPipelines =
    pipelinesDocument === undefined ? null : check(pipelinesDocument, pipelinesSchema, reporter, 'pipelines');
  const pipelines =
    declaredPipelines?.declaration == null
      ? []
      : compilePipelines(
          declaredPipelines.declaration,
          declaredPipelines.place,
          {
            models: new Map(
              loadedModels.flatMap(({ name }) =>
                name === null
                  ? []
                  : [[name, models.find((model) => model.name === name)?.features ?? []] as const],
              ),
            ),
            rules: alerts === null ? [] : (alerts.declaration?.rules.map(({ rule }) => rule) ?? null),
          },
          reporter,
        );

  const { prefix } = options;
  if (prefix !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(prefix))
    reporter.report(
      placeOf(projectDocument),
      `The prefix '${prefix}' cannot be part of the name of a topic.`,
      'Use letters, digits, -, _ and dots.',
    );

  if (reporter.problems.length > 0 || project.declaration === null || connections === null)
    throw new ConfigError(sorted(reporter));
  const declared = project.declaration;
  const texts = [...documents]
    .filter(([file]) => file !== 'connections.yaml')
    .map(([file, document]) => [file, document.value]);
  return freeze({
    name: declared.name,
    prefix: prefix ?? declared.prefix ?? declared.name,
    directory: root,
    sources: [...sources.values()],
    views: [...views.values()],
    models,
    history,
    alerting,
    pipelines,
    connections,
    retention: retentionOf(declared.retention),
    hash: hashOf({ texts, partitions: options.partitions ?? null }),
  });
}

function sorted(reporter: Reporter) {
  return [...reporter.problems].sort((a, b) =>
    a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column,
  );
}
