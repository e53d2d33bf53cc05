/**
 * Every name that Millrace gives to a thing outside its process, made in one place.
 * All carry the project's prefix, so that several projects share one cluster.
 */

export const topics = {
  /** The one that Millrace makes for a source; the one that a source is read from is `rawTopic`. */
  raw: (prefix: string, source: string) => `${prefix}.${source}.raw`,
  validated: (prefix: string, source: string) => `${prefix}.${source}.validated`,
  deadLetters: (prefix: string, source: string) => `${prefix}.${source}.dead-letters`,
  view: (prefix: string, viewId: string) => `${prefix}.view.${viewId.replace('@', '.v')}`,
  predictions: (prefix: string, model: string) => `${prefix}.predictions.${model}`,
  /** Scores of challengers, and of the champion before: never clocks. */
  shadow: (prefix: string, model: string) => `${prefix}.shadow.${model}`,
  /** Answers to whoever asked over HTTP: no event of a source asked for them, so each is its own lineage. Never clocks. */
  asked: (prefix: string, model: string) => `${prefix}.asked.${model}`,
  models: (prefix: string) => `${prefix}.models`,
  alerts: (prefix: string) => `${prefix}.alerts`,
  /** What was applied under the prefix: the files of the project, one record a definition. */
  definitions: (prefix: string) => `${prefix}.definitions`,
} as const;

/** What of a source says which topic it is read from. */
export interface RawTopicOf {
  readonly name: string;
  readonly topic?: string;
}

/** The topic that a source is read from: its team's own where it names one, else the one that Millrace makes. */
export const rawTopic = (prefix: string, { name, topic }: RawTopicOf) => topic ?? topics.raw(prefix, name);

/** The same by the name of one of a project's sources. */
export const rawTopicNamed = (
  { prefix, sources }: { readonly prefix: string; readonly sources: readonly RawTopicOf[] },
  name: string,
) => rawTopic(prefix, sources.find((source) => source.name === name) ?? { name });

/** Whether a source reads a topic of a team's own, which Millrace neither makes nor changes. */
export const isForeign = (prefix: string, source: RawTopicOf) =>
  rawTopic(prefix, source) !== topics.raw(prefix, source.name);

export const groups = {
  ingest: (prefix: string) => `${prefix}.ingest`,
  features: (prefix: string) => `${prefix}.features`,
  inference: (prefix: string, model: string) => `${prefix}.inference.${model}`,
  archive: (prefix: string) => `${prefix}.archive`,
  /** Elects the one process that measures. */
  monitoring: (prefix: string) => `${prefix}.monitoring`,
  delivery: (prefix: string) => `${prefix}.delivery`,
} as const;

/** Keys of the online store. The part in braces is the Redis Cluster slot: one view partition, one slot. */
export const keys = {
  viewPartition: (prefix: string, viewId: string, partition: number) =>
    `mr:{${prefix}.${viewId}:${partition}}`,
  meta: (viewPartition: string) => `${viewPartition}:meta`,
  log: (viewPartition: string, suffix: string, entity: string) => `${viewPartition}:${suffix}:${entity}`,
  ingestProgress: (prefix: string, source: string, partition: number) =>
    `mr:{${prefix}.ingest.${source}:${partition}}:progress`,
  /** What a reader of one partition of a model's requests may still ask for: streams/runtime/hold.ts. */
  hold: (prefix: string, model: string, partition: number) =>
    `mr:{${prefix}.hold.${model}:${partition}}:least`,
  /** The replay that a project's raw topics belong to while it runs. */
  replay: (prefix: string) => `mr:{${prefix}.replay}:lock`,
  /** Whether a source is paused, and why. */
  pause: (prefix: string, source: string) => `mr:{${prefix}.pause.${source}}:state`,
  /** The process that builds a lost view from the archive. */
  rebuild: (prefix: string, viewId: string) => `mr:{${prefix}.rebuild.${viewId}}:lock`,
  /** Runs of pipelines and the queue of their steps: one slot. */
  pipelines: (prefix: string) => `mr:{${prefix}.pipelines}`,
} as const;

/** Names of ClickHouse tables: the prefix with everything but letters, digits and _ folded to _. */
const table = (prefix: string, name: string) => `${prefix}_${name}`.replace(/[^A-Za-z0-9_]/g, '_');
export const tables = {
  events: (prefix: string, source: string) => table(prefix, `events_${source}`),
  predictions: (prefix: string, model: string) => table(prefix, `predictions_${model}`),
  deadLetters: (prefix: string, source: string) => table(prefix, `dead_letters_${source}`),
  imports: (prefix: string) => table(prefix, 'imports'),
  /** Dead letters that were sent again, or put into history. */
  letterReplays: (prefix: string) => table(prefix, 'letter_replays'),
  vectors: (prefix: string, model: string) => table(prefix, `vectors_${model}`),
  shadow: (prefix: string, model: string) => table(prefix, `shadow_${model}`),
  /** Answers to whoever asked over HTTP. */
  asked: (prefix: string, model: string) => table(prefix, `asked_${model}`),
  /** Rows that versions learnt from, with their scores: what later windows are compared with. */
  references: (prefix: string, model: string) => table(prefix, `references_${model}`),
  /** How far event time has come in each archived partition. */
  progress: (prefix: string) => table(prefix, 'progress'),
  measures: (prefix: string) => table(prefix, 'measures'),
  /** Ticks of event time that monitoring has finished. */
  ticks: (prefix: string) => table(prefix, 'ticks'),
  alerts: (prefix: string) => table(prefix, 'alerts'),
  silences: (prefix: string) => table(prefix, 'silences'),
  deliveries: (prefix: string) => table(prefix, 'deliveries'),
  runs: (prefix: string) => table(prefix, 'runs'),
  /** Metrics of runs by epoch, slice and step. */
  runMetrics: (prefix: string) => table(prefix, 'run_metrics'),
  pipelineRuns: (prefix: string) => table(prefix, 'pipeline_runs'),
  pipelineSteps: (prefix: string) => table(prefix, 'pipeline_steps'),
  /** What steps said on the way. */
  pipelineNotes: (prefix: string) => table(prefix, 'pipeline_notes'),
} as const;

/** Columns that tables of ClickHouse have beside those that a project names: no field of an event, no feature of a vector is called so. */
export const ownColumns = {
  events: [
    'import_id',
    'source_topic',
    'source_partition',
    'source_offset',
    'append_time',
    'archived_partition',
    'archived_offset',
    'first_append_time',
  ],
  predictions: [
    'id',
    'request_id',
    'request_time',
    'status',
    'reason',
    'model',
    'model_version',
    'artefact',
    'score',
    'decision',
    'layout',
    'vector',
    'reads',
    'source_topic',
    'source_partition',
    'source_offset',
    'raw_append_time',
    'append_time',
    'wait_ms',
    'read_ms',
    'score_ms',
    'archived_partition',
    'archived_offset',
    'absent',
  ],
} as const;

/** `import_id` of events that came as dead letters and were too late for live. */
export const LETTERS_IMPORT = 'dead-letters';

/** Kafka headers that are ours. Values are UTF-8 text. */
export const headers = {
  /** A clock record: epoch ms. No value goes with it. */
  clock: 'mr-clock',
  /** Name of the replay a clock or record belongs to. */
  replay: 'mr-replay',
  /** `first`, `tick` or `end`; absent in a live producer's clock. */
  clockKind: 'mr-clock-kind',
  /** Place of a replayed record in its source: an ascending integer. */
  place: 'mr-place',
  /** Raw offset of a clock, where ingest passes it on. */
  sourceOffset: 'mr-offset',
  /** Place of an alert among those that were appended together: `index/count`, from 0. */
  together: 'mr-together',
  /** Append time that a replayed record had when it first arrived, epoch ms. */
  arrivedAt: 'mr-arrived-at',
  /** A dead letter's record that was sent again: which letter, how often, and when it first came (streams/runtime/again-record.ts). */
  letter: 'mr-letter',
  /** Producer's send time, epoch ms, carried through for latency. */
  sentAt: 'mr-sent-at',
} as const;
