import type { Register } from './command.ts';

/** A command as `millrace --help` shows it. Its code is loaded only when it is called: most of it is large. */
export interface CommandRow {
  readonly name: string;
  readonly parameters?: string;
  /** The command's own description, word for word; a test compares them. */
  readonly summary: string;
  load(): Promise<Register>;
}

/** In the order in which a person meets them. */
export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'init',
    parameters: '[dir]',
    summary:
      'make a project from a sample record or a topic: fields, times, first features, a generator, a test',
    load: async () => (await import('./commands/init.ts')).registerInit,
  },
  {
    name: 'dev',
    summary:
      'work on a project: local stack, apply, every stream and the HTTP API; what changes in its YAML is applied; Ctrl-C ends all',
    load: async () => (await import('./commands/dev.ts')).registerDev,
  },
  {
    name: 'try',
    parameters: '<file>',
    summary:
      'try a view or a model on history before it is deployed: its values, its cost, what the model gains; writes to no server',
    load: async () => (await import('./commands/try.ts')).registerTry,
  },
  {
    name: 'check',
    summary:
      'is the project right? Names every mistake with its place and its mend; exit code 2 if there is one',
    load: async () => (await import('./commands/check.ts')).registerCheck,
  },
  {
    name: 'apply',
    summary:
      'make topics, schemas and tables of the project where they are missing; topics that keep producer times get the broker’s',
    load: async () => (await import('./commands/apply.ts')).registerApply,
  },
  {
    name: 'up',
    summary:
      'start the local stack, which all projects of this machine share: Kafka, Valkey, a schema registry, ClickHouse',
    load: async () => (await import('./commands/up.ts')).registerUp,
  },
  {
    name: 'down',
    summary: 'stop the local stack',
    load: async () => (await import('./commands/down.ts')).registerDown,
  },
  {
    name: 'status',
    summary: 'what of the local stack runs; exit code 1 unless all of it is ready',
    load: async () => (await import('./commands/status.ts')).registerStatus,
  },
  {
    name: 'run',
    parameters: '[stream...]',
    summary: 'run streams until Ctrl-C; each may run alone, any number of times',
    load: async () => (await import('./commands/run.ts')).registerRun,
  },
  {
    name: 'api',
    summary:
      'serve the HTTP API until Ctrl-C: events, features, predictions, and all that can be seen or changed',
    load: async () => (await import('./commands/api.ts')).registerApi,
  },
  {
    name: 'generate',
    summary: 'write what other programs need of a project: a typed client, the description of its topics',
    load: async () => (await import('./commands/generate.ts')).registerGenerate,
  },
  {
    name: 'keys',
    summary: 'keys of the HTTP API: who may do what',
    load: async () => (await import('./commands/keys.ts')).registerKeys,
  },
  {
    name: 'replay',
    parameters: '[file]',
    summary:
      'send history through Kafka with its own clock, so that every answer is exact; the streams must run. Several sources go together, in order of event time',
    load: async () => (await import('./commands/replay.ts')).registerReplay,
  },
  {
    name: 'import',
    parameters: '[file]',
    summary:
      'load history into ClickHouse alone; a repeat changes nothing, an overlap with events from Kafka is refused',
    load: async () => (await import('./commands/import.ts')).registerImport,
  },
  {
    name: 'backfill',
    summary: 'build features from the archive',
    load: async () => (await import('./commands/backfill.ts')).registerBackfill,
  },
  {
    name: 'train',
    parameters: '[model]',
    summary: 'train a model from the archive and register it; the first version becomes champion at once',
    load: async () => (await import('./commands/train.ts')).registerTrain,
  },
  {
    name: 'tune',
    parameters: '[model]',
    summary: "search the trainer's parameters as `search:` of the model file says; each trial is a run",
    load: async () => (await import('./commands/tune.ts')).registerTune,
  },
  {
    name: 'evaluate',
    parameters: '[file]',
    summary: 'train on one time, judge on a later one, in ClickHouse alone, under a prefix of its own',
    load: async () => (await import('./commands/evaluate.ts')).registerEvaluate,
  },
  {
    name: 'score',
    parameters: '[table]',
    summary: 'score a table or a query of requests, from the features as they were at the time of each',
    load: async () => (await import('./commands/score.ts')).registerScore,
  },
  {
    name: 'models',
    summary: 'versions of the models: what each is, since when, why; and changing it by hand',
    load: async () => (await import('./commands/models.ts')).registerModels,
  },
  {
    name: 'monitor',
    summary: 'what was measured at each tick of event time: quality, drift, data, freshness',
    load: async () => (await import('./commands/monitor.ts')).registerMonitor,
  },
  {
    name: 'pipelines',
    summary: 'runs of the declared pipelines: what starts them, how far they are, and why they ended',
    load: async () => (await import('./commands/pipelines.ts')).registerPipelines,
  },
  {
    name: 'runs',
    summary: 'what was trained, tuned and evaluated: parameters, figures, data, code, machine',
    load: async () => (await import('./commands/runs.ts')).registerRuns,
  },
  {
    name: 'features',
    summary: 'features of entities',
    load: async () => (await import('./commands/features.ts')).registerFeatures,
  },
  {
    name: 'predictions',
    summary: 'what the models answer',
    load: async () => (await import('./commands/predictions.ts')).registerPredictions,
  },
  {
    name: 'explain',
    parameters: '<id>',
    summary:
      'one prediction with all its inputs, its score computed once more; exit code 1 where a bit differs',
    load: async () => (await import('./commands/explain.ts')).registerExplain,
  },
  {
    name: 'dead-letters',
    summary: 'records that were not taken, with the reason',
    load: async () => (await import('./commands/dead-letters.ts')).registerDeadLetters,
  },
  {
    name: 'topics',
    summary: 'raw topics that were deleted and made again, or restored',
    load: async () => (await import('./commands/topics.ts')).registerTopics,
  },
  {
    name: 'sources',
    summary: 'sources that are paused, since too many of their records were refused',
    load: async () => (await import('./commands/sources.ts')).registerSources,
  },
  {
    name: 'audit',
    summary:
      'follow every raw record: accepted or refused, taken by its views, answered once at its full head, archived once; exit code 1 if not',
    load: async () => (await import('./commands/audit.ts')).registerAudit,
  },
  {
    name: 'alerts',
    summary: 'what fires, what fired, and who is told',
    load: async () => (await import('./commands/alerts.ts')).registerAlerts,
  },
  {
    name: 'experiments',
    summary: 'simulated shadows: how often the test is wrong, and how soon it sees a difference',
    load: async () => (await import('./commands/experiments.ts')).registerExperiments,
  },
  {
    name: 'detectors',
    summary: 'the streaming detectors of change',
    load: async () => (await import('./commands/detectors.ts')).registerDetectors,
  },
  {
    name: 'demo',
    summary: 'the whole story on three million real flights: history, training, live predictions, a report',
    load: async () => (await import('./commands/demo.ts')).registerDemo,
  },
];
