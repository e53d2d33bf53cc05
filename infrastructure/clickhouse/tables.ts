import type { FieldType } from '../../schemas/event.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { type ColumnSpec, column, type TableSpec, TIME, WORD } from './columns.ts';
import { WarehouseError } from './errors.ts';
import { loopTableSpecs } from './loop-tables.ts';

/**
 * The tables of a project. Each is a ReplacingMergeTree whose sorting key ends in the lineage of its rows, so
 * that a row inserted twice is one row (read FINAL), and each drops a repeated insert by its token.
 */

export interface ViewSpec {
  readonly name: string;
  readonly select: string;
}

const FIELD_COLUMNS: Readonly<Record<FieldType, string>> = {
  string: 'Nullable(String)',
  int: 'Nullable(Int64)',
  double: 'Nullable(Float64)',
  bool: 'Nullable(Bool)',
  timestamp: `Nullable(${TIME})`,
};

/** Named so that no field of a source is likely to bear the name. */
const FIRST_APPEND_TIME = column(
  'first_append_time',
  `Nullable(${TIME})`,
  'when the event first arrived at Kafka: append_time, or for a replayed event the append time it once had; null where that is not known (imports, replays of files, rows from before this column). The time counts no further than this where it moves watermarks and reads',
);

/** Where a row comes from. `archived_*` is its place in the topic the archive read it from, -1 for an import. */
const LINEAGE = [
  column('source_topic', WORD, 'raw topic; empty for an import'),
  column('source_partition', 'Int32', 'partition of the raw topic'),
  column('source_offset', 'Int64', 'offset in the raw topic, or row of the imported file'),
] as const;
const ARCHIVED = [
  column('archived_partition', 'Int32', 'partition of the topic archived; -1 for an import'),
  column('archived_offset', 'Int64', 'offset in the topic archived; -1 for an import'),
] as const;

export const EVENT_COLUMNS: readonly ColumnSpec[] = [
  column('id', 'String', 'unique in the source'),
  column('type', WORD, 'event type'),
  column('time', TIME, 'event time'),
  column('import_id', WORD, 'hash of the imported file; empty for an event from Kafka'),
  ...LINEAGE,
  column('append_time', TIME, 'when the broker appended the raw record, or of the import'),
  ...ARCHIVED,
  FIRST_APPEND_TIME,
];

export const PREDICTION_COLUMNS: readonly ColumnSpec[] = [
  column('id', 'String', 'request id : model'),
  column('request_id', 'String', 'id of the event that asked'),
  column('request_time', TIME, 'event time of the request'),
  column('status', WORD, 'scored or refused'),
  column('reason', WORD, 'why it was refused; empty where scored'),
  column('model', WORD, ''),
  column('model_version', 'Int32', '0 where no model was there'),
  column('artefact', WORD, 'SHA-256 of the artefact that scored'),
  column('score', 'Nullable(Float64)', ''),
  column('decision', 'Nullable(Bool)', ''),
  column('layout', WORD, 'hash of the names of the vector'),
  column('vector', 'Array(Float64)', 'feature vector, NaN for null; see the view with each feature by name'),
  column(
    'reads',
    // Plain strings: as dictionaries these cost the server 3 us a row, a third of the insert.
    `Array(Tuple(read String, view String, entity String, head ${TIME}, as_of ${TIME}, sketch_as_of Nullable(${TIME}), age_ms Int64))`,
    'one per read: the young edge asked for (head), the one read (as_of), request time - as_of (age_ms)',
  ),
  ...LINEAGE,
  column('raw_append_time', TIME, 'when the broker appended the raw event'),
  column('append_time', TIME, 'when the broker appended the prediction'),
  column('wait_ms', 'Float64', 'time at the gate'),
  column('read_ms', 'Float64', "time of the batch's read"),
  column('score_ms', 'Float64', "time of the batch's decoding and scoring"),
  ...ARCHIVED,
  column(
    'absent',
    'Array(Tuple(read String, reason String))',
    'reads whose features are null whatever their events: missing_key or stale (older than max_age)',
  ),
];

/** When the record of a dead letter came. Of one that a view refused, which is not told that, when it was refused. */
export const CAME_AT = 'if(toUnixTimestamp64Milli(append_time) = 0, refused_time, append_time)';

export const DEAD_LETTER_COLUMNS: readonly ColumnSpec[] = [
  column('stage', WORD, 'stage that refused'),
  column('code', WORD, 'reason, from a closed list'),
  column('detail', 'String', 'one sentence for a person'),
  column(
    'writer',
    WORD,
    'ingest, name@version:partition of the view that refused the contribution, or inference and the model',
  ),
  ...LINEAGE,
  column('append_time', TIME, 'when the broker appended the raw record'),
  column('event_id', 'Nullable(String)', ''),
  column('event_time', `Nullable(${TIME})`, ''),
  column('key', 'Nullable(String)', 'key of the raw record, bytes'),
  column('value', 'Nullable(String)', 'the raw record, bytes; null where a view or a model refused'),
  column('refused_time', TIME, 'when the broker appended the dead letter'),
  ...ARCHIVED,
  FIRST_APPEND_TIME,
  column(
    'value_bytes',
    'Nullable(Int64)',
    'size of the whole raw value where `value` holds only its beginning',
  ),
  column('value_sha256', 'Nullable(String)', 'SHA-256 of the whole raw value, hex, where it is cut'),
  column('key_bytes', 'Nullable(Int64)', 'size of the whole raw key where `key` holds only its beginning'),
  column('key_sha256', 'Nullable(String)', 'SHA-256 of the whole raw key, hex, where it is cut'),
  column('headers', 'Array(Tuple(name String, value String))', 'headers of the raw record'),
  column(
    'headers_bytes',
    'Nullable(Int64)',
    'size of all headers of the raw record where `headers` lacks some of them',
  ),
];

const IMPORT_COLUMNS: readonly ColumnSpec[] = [
  column('import_id', 'String', 'hash of the file'),
  column('source', WORD, ''),
  column('file', 'String', 'path as it was given'),
  column('reader', WORD, ''),
  column('from', TIME, 'event times from here were taken'),
  column('to', TIME, 'event times before this were taken'),
  column('rows', 'Int64', 'events written'),
  column('rejected', 'Int64', 'rows refused'),
  column('state', WORD, 'begun or done'),
  column('detail', 'String', 'counts of the reader, JSON'),
  column('at', TIME, 'when this was written'),
];

const LETTER_REPLAY_COLUMNS: readonly ColumnSpec[] = [
  column('source', WORD, ''),
  column('source_partition', 'Int32', "place of the letter's record in the raw topic"),
  column('source_offset', 'Int64', ''),
  column(
    'state',
    WORD,
    'begun (it may stand in the raw topic from raw_from on), sent, or history (in the events table)',
  ),
  column('event_id', 'String', ''),
  column('tries', 'Int32', 'how often the event was sent again, this time among them'),
  column('raw_partition', 'Int32', 'where it was sent to; -1 for history'),
  column('raw_from', 'Int64', 'end of that partition before it was sent, in offsets of the broker'),
  column('fix', 'String', 'name of the fix that changed it; empty for none'),
  column('reason', 'String', 'of whoever sent it'),
  column('who', 'String', ''),
  column('at', TIME, 'wall time'),
];

function eventsTable(prefix: string, source: Source): TableSpec {
  const own = new Set(EVENT_COLUMNS.map(({ name }) => name));
  const clash = source.fields.find(({ name }) => own.has(name));
  if (clash !== undefined) {
    throw new WarehouseError(
      'refused',
      `Source ${source.name}: the field \`${clash.name}\` has the name of a column that Millrace adds to every events table; name it otherwise.`,
    );
  }
  const fields = source.fields.map(({ name, type }) => column(name, FIELD_COLUMNS[type], ''));
  const [id, type, time, ...lineage] = EVENT_COLUMNS;
  return {
    name: tables.events(prefix, source.name),
    columns: [id, type, time, ...fields, ...lineage].filter((one) => one !== undefined),
    engine: 'ReplacingMergeTree',
    // Time first: history is read, backfilled and cut by it.
    sortingKey: ['time', 'import_id', 'source_partition', 'source_offset'],
    indexes: ['INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 4'],
  };
}

const VECTOR_COLUMNS: readonly ColumnSpec[] = [
  column('request_id', 'String', 'id of the event that asked'),
  column('request_time', TIME, 'event time of the request'),
  column('layout', WORD, 'hash of the names of the vector'),
  column('basis', WORD, 'hash of the declarations and of the imported history that it was made from'),
  column('vector', 'Array(Float64)', 'backfilled feature vector, NaN for null'),
];

const predictionsTable = (name: string, sortedBy: readonly string[]): TableSpec => ({
  name,
  columns: PREDICTION_COLUMNS,
  engine: 'ReplacingMergeTree',
  sortingKey: ['request_time', ...sortedBy, 'source_partition', 'source_offset'],
  indexes: ['INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 4'],
});

/** Every table of a project. */
export function tableSpecs(project: Project): readonly TableSpec[] {
  const { prefix } = project;
  return [
    ...project.sources.map((source) => eventsTable(prefix, source)),
    ...project.sources.map(({ name }) => ({
      name: tables.deadLetters(prefix, name),
      columns: DEAD_LETTER_COLUMNS,
      engine: 'ReplacingMergeTree',
      sortingKey: ['append_time', 'source_partition', 'source_offset', 'writer'],
      indexes: [],
    })),
    ...project.models.flatMap(({ name }) => [
      predictionsTable(tables.predictions(prefix, name), []),
      // Several versions answer the same request.
      predictionsTable(tables.shadow(prefix, name), ['model_version']),
      predictionsTable(tables.asked(prefix, name), []),
      {
        name: tables.vectors(prefix, name),
        columns: VECTOR_COLUMNS,
        engine: 'ReplacingMergeTree',
        sortingKey: ['layout', 'basis', 'request_time', 'request_id'],
        indexes: [],
      },
    ]),
    {
      name: tables.imports(prefix),
      columns: IMPORT_COLUMNS,
      engine: 'ReplacingMergeTree(at)',
      sortingKey: ['source', 'import_id', 'from', 'to'],
      indexes: [],
    },
    {
      name: tables.letterReplays(prefix),
      columns: LETTER_REPLAY_COLUMNS,
      engine: 'ReplacingMergeTree(at)',
      sortingKey: ['source', 'source_partition', 'source_offset'],
      indexes: [],
    },
    ...loopTableSpecs(project),
  ];
}

/** The view of a model's predictions that shows each feature under its name. */
export const featureViewName = (prefix: string, model: string) =>
  `${tables.predictions(prefix, model)}_features`;

/** Features by name; null where the vector is empty, the value missing, or the row of another layout. */
function featureView(prefix: string, model: Model): ViewSpec {
  const features = model.features.map(
    ({ name }, i) =>
      `if(layout = ${quoteText(model.layoutHash)} AND NOT isNaN(arrayElement(vector, ${i + 1})) AND length(vector) > ${i}, arrayElement(vector, ${i + 1}), NULL) AS ${quoteName(name)}`,
  );
  const own = PREDICTION_COLUMNS.map(({ name }) => quoteName(name));
  return {
    name: featureViewName(prefix, model.name),
    select: `SELECT ${[...own, ...features].join(', ')} FROM ${quoteName(tables.predictions(prefix, model.name))} FINAL`,
  };
}

export function viewSpecs(project: Project): readonly ViewSpec[] {
  return project.models.map((model) => featureView(project.prefix, model));
}

/**
 * Every answer of a model, once each, as something to select FROM: to requests of its stream, and to whoever asked over HTTP. They are
 * watched together; what follows a stream's requests one by one reads the table of its predictions alone.
 */
export function answersOf(prefix: string, model: string): string {
  const [stream, asked] = [tables.predictions(prefix, model), tables.asked(prefix, model)].map(quoteName);
  return `(SELECT * FROM ${stream} FINAL UNION ALL SELECT * FROM ${asked} FINAL)`;
}

export const quoteName = (name: string) => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
export const quoteText = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
