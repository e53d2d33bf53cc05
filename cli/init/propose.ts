import { topics } from '../../schemas/names.ts';
import {
  EVENT_NAME,
  entityScore,
  fieldTypeOf,
  guessId,
  guessKey,
  guessType,
  isCategory,
  namesSomething,
  spread,
  type TimeUnit,
  timeOf,
  unitOf,
  words,
} from './guess.ts';
import type { Observation, ObservedPath, Value } from './observe.ts';
import { idPath, NoProposal, pathNamed, timePath } from './paths.ts';
import type { SampledTopic } from './samples.ts';

/** What a person said; what is left out is guessed. */
export interface Wishes {
  readonly name: string;
  /** Path of the key in the records. */
  readonly key?: string | undefined;
  /** Path of the event's own id. */
  readonly id?: string | undefined;
  readonly time?: string | undefined;
  /** Subject of the records' schema in the registry, where they are Avro. */
  readonly subject?: string | null;
  /** The topic that producers write to already. */
  readonly topic?: SampledTopic | undefined;
  /** Name of what becomes known later, true or false; null = nothing is predicted. */
  readonly predict: string | null;
}

export interface ProposedField {
  readonly name: string;
  readonly path: string;
  readonly type: 'string' | 'int' | 'double' | 'bool' | 'timestamp';
  /** Every sample has it. */
  readonly required: boolean;
  readonly samples: readonly Value[];
  /** Of a number that features add up. */
  readonly measure: { readonly scale: number; readonly range: readonly [number, number] } | null;
  readonly category: boolean;
}

export interface ProposedView {
  readonly name: string;
  /** Name of its one field. */
  readonly entity: string;
  readonly features: readonly string[];
}

export interface Proposal {
  /** Of the project. */
  readonly name: string;
  readonly source: string;
  readonly type: { readonly path: string } | { readonly constant: string };
  /** Subject of the records' schema; null = they are JSON. */
  readonly subject: string | null;
  /** The topic of the team's own that the source reads; null = one that Millrace makes. */
  readonly topic: SampledTopic | null;
  /** Types of event that the samples show; the first one asks for predictions. */
  readonly types: readonly string[];
  /** Of the event; `seen` = false: the samples have none, and producers must add it. */
  readonly id: { readonly path: string; readonly seen: boolean; readonly type: 'string' | 'int' };
  readonly time: { readonly path: string; readonly unit: TimeUnit };
  readonly fields: readonly ProposedField[];
  readonly key: string;
  readonly outOfOrderness: string;
  readonly resolution: string;
  readonly views: readonly ProposedView[];
  readonly predict: ProposedLabel | null;
  /** What a person should know, a sentence each. */
  readonly notes: readonly string[];
}

export interface ProposedLabel {
  /** Of the model and of the field that holds the answer. */
  readonly name: string;
  readonly source: string;
  readonly event: string;
  /** Field, in both sources, that holds the id of the event that asked. */
  readonly reference: string;
  readonly features: readonly string[];
}

const NAME = /^[a-z][a-z0-9_]*$/;
/** Names that every event has, and words of the expression language. */
const TAKEN = new Set(
  'id type time as break const continue else false for function if import in let loop null package namespace return true var void while'.split(
    ' ',
  ),
);
const MOST_MEASURES = 3;
const MOST_CATEGORIES = 2;

export function propose(observation: Observation, wishes: Wishes): Proposal {
  const { paths, records } = observation;
  if (paths.length === 0) throw new NoProposal('The sample holds no values: give a JSON object with fields.');
  const source = identifier(wishes.name);
  const time = timePath(paths, wishes.time);
  const rest = paths.filter((path) => path !== time);
  const event = EVENT_NAME.test(singular(source)) ? singular(source) : 'event';
  const type = guessType(rest, records);
  const id = idPath(rest, records, wishes, type === undefined ? event : null);
  const label = wishes.predict === null ? null : identifier(wishes.predict);
  const fieldPaths = rest.filter((path) => path !== id && path !== type && identifier(path.path) !== label);
  const fields = nameFields(fieldPaths, records);
  const key = keyField(fields, fieldPaths, wishes.key);
  const types = type === undefined ? [event] : byFrequency(type.values.map(String));
  const predicted = label === null ? null : { label, reference: freeName(`${event}_id`, fields) };
  const notes = [
    ...observation.notes,
    ...(id === undefined
      ? [
          `No id of the event was found: producers must send one as \`${freeId(paths)}\`, so that a repeat is seen as one. If a field of the record is its id, begin again with --id.`,
        ]
      : wishes.id === undefined && guessId([id], records, null) === undefined
        ? [
            `${id.path} is taken for the id of the event: if several events have the same, begin again with another --id.`,
          ]
        : []),
    ...(type === undefined ? [] : [`Events of other types than ${types.join(', ')} are refused.`]),
    ...(records === 1 ? ['Types and ranges come from one record: look at them before you trust them.'] : []),
    ...(label !== null && rest.some(({ path }) => identifier(path) === label)
      ? [`${label} is left out of the events: it is what is predicted, and would be known too early.`]
      : []),
  ];
  const outOfOrderness = disorder(time, unitOf(time) ?? 'ms');
  const views = proposeViews(fields, key, types);
  const name = source.replaceAll('_', '-');
  const topic =
    wishes.topic === undefined || wishes.topic.name === topics.raw(name, source) ? null : wishes.topic;
  if (topic !== null)
    notes.push(
      `The streams read ${topic.name}, a topic of your own. \`node generate.mjs --live\` and events by HTTP would write to it too, beside its producers.`,
    );
  return {
    name,
    source,
    subject: wishes.subject ?? null,
    topic,
    type: type === undefined ? { constant: event } : { path: type.path },
    types,
    id: {
      path: id?.path ?? freeId(paths),
      seen: id !== undefined,
      type: id?.kind === 'number' ? 'int' : 'string',
    },
    time: { path: time.path, unit: unitOf(time) ?? 'ms' },
    fields,
    key: key.name,
    outOfOrderness,
    resolution: /^(\d+)s$/.test(outOfOrderness) ? '10s' : '1m',
    views,
    predict:
      predicted === null
        ? null
        : {
            name: predicted.label,
            source: `${predicted.label}_outcomes`,
            event: `${predicted.label}.known`,
            reference: predicted.reference,
            features: modelFeatures(fields, views),
          },
    notes,
  };
}

/** Where producers should put the id that the samples lack. */
function freeId(paths: readonly ObservedPath[]): string {
  const tops = new Set(paths.map(({ path }) => path.split('.')[0]));
  return ['id', 'event_id', 'event_uuid'].find((name) => !tops.has(name)) ?? 'millrace_id';
}

/** A name as declarations write them: `pageViews 2` -> `page_views_2`. Throws NoProposal. */
export function identifier(text: string): string {
  const name = words(text).replace(/^_+|_+$/g, '');
  const started = /^[0-9]/.test(name) ? `n${name}` : name;
  if (!NAME.test(started))
    throw new NoProposal(`'${text}' makes no name: use letters, digits and _, with a letter first.`);
  return started;
}

const singular = (name: string) =>
  name.length > 3 && name.endsWith('s') && !/(ss|us|is)$/.test(name) ? name.slice(0, -1) : name;

function nameFields(paths: readonly ObservedPath[], records: number): ProposedField[] {
  const used = new Set<string>();
  return paths.map((path) => {
    let name = identifier(path.path);
    if (TAKEN.has(name)) name = `${name}_value`;
    while (used.has(name)) name = `${name}_2`;
    used.add(name);
    const type = fieldTypeOf(path);
    const adds = (type === 'int' || type === 'double') && !namesSomething(path.path);
    return {
      name,
      path: path.path,
      type,
      required: path.values.length === records,
      samples: path.values.slice(0, 500),
      measure: adds ? spread(path) : null,
      category: type === 'string' && isCategory(path),
    };
  });
}

function freeName(name: string, fields: readonly ProposedField[]): string {
  return fields.some((field) => field.name === name) ? freeName(`${name}_ref`, fields) : name;
}

function keyField(
  fields: readonly ProposedField[],
  paths: readonly ObservedPath[],
  wished: string | undefined,
): ProposedField {
  const canBeKey = paths.filter((_, k) => ['string', 'int'].includes(fields[k]?.type ?? ''));
  const chosen = wished === undefined ? guessKey(canBeKey) : pathNamed(paths, wished, 'key');
  const field = fields.find(({ path }) => path === chosen?.path);
  if (field === undefined)
    throw new NoProposal(
      'No field can be the key (whose events they are): name one with --key, or add one to the sample.',
    );
  if (field.type !== 'string' && field.type !== 'int')
    throw new NoProposal(`The key ${field.path} is a ${field.type}: choose a text or a whole number.`);
  return field;
}

function byFrequency(values: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a).map(([value]) => value);
}

const LADDER: ReadonlyArray<readonly [ms: number, text: string]> = [
  [5_000, '5s'],
  [15_000, '15s'],
  [60_000, '1m'],
  [300_000, '5m'],
  [900_000, '15m'],
];

/** Twice the disorder that the samples show, at least 5 s. */
function disorder(time: ObservedPath, unit: TimeUnit): string {
  let largest = Number.NEGATIVE_INFINITY;
  let most = 0;
  for (const value of time.values) {
    const at = timeOf(value, unit);
    most = Math.max(most, largest - at);
    largest = Math.max(largest, at);
  }
  return LADDER.find(([ms]) => ms >= 2 * most)?.[1] ?? '1h';
}

function proposeViews(
  fields: readonly ProposedField[],
  key: ProposedField,
  types: readonly string[],
): ProposedView[] {
  const measures = measuresOf(fields, key.name);
  const flags = fields.filter(({ type }) => type === 'bool').slice(0, MOST_CATEGORIES);
  const groups = fields
    .filter(({ category, name }) => category && name !== key.name)
    .sort((a, b) => scoreOf(b) - scoreOf(a));
  const name = entityName(key.name);
  const own = namer(measures);
  const first: ProposedView = {
    name,
    entity: key.name,
    features: [
      `{ name: ${own('events')}, aggregation: count, windows: [10m, 1h, 1d] }`,
      ...countsByType(types, own),
      `{ name: ${own('since')}, aggregation: seconds_since_last, windows: [7d] }`,
      ...measures.map((field) => measured(field, AGGREGATIONS, '1h, 1d')),
      ...flags.map(
        (flag) => `{ name: ${own(flag.name)}, aggregation: share, of: ${flag.name}, windows: [1h, 7d] }`,
      ),
      ...groups.slice(0, MOST_CATEGORIES).map((field) => kinds(own(`${field.name}_kinds`), field.name)),
    ],
  };
  const [group] = groups;
  if (group === undefined || entityName(group.name) === name) return [first];
  const others = namer(measures);
  return [
    first,
    {
      name: entityName(group.name),
      entity: group.name,
      features: [
        `{ name: ${others('events')}, aggregation: count, windows: [10m, 1h, 1d] }`,
        kinds(others(`${name}_kinds`), key.name),
        ...measures.slice(0, 1).map((field) => measured(field, ['mean'], '1h, 1d')),
        ...flags.map(
          (flag) => `{ name: ${others(flag.name)}, aggregation: share, of: ${flag.name}, windows: [1d] }`,
        ),
      ],
    },
  ];
}

const AGGREGATIONS = ['mean', 'min', 'max', 'stddev'];

/** Gives each feature of a view a name that no other one has, with or without its aggregation. */
function namer(measures: readonly ProposedField[]): (name: string) => string {
  const taken = new Set(
    measures.flatMap(({ name }) => [name, ...AGGREGATIONS.map((one) => `${name}_${one}`)]),
  );
  const own = (name: string): string => {
    if (taken.has(name)) return own(`${name}_seen`);
    taken.add(name);
    return name;
  };
  return own;
}

const MOST_COUNTED = 4;

function countsByType(types: readonly string[], own: (name: string) => string): string[] {
  if (types.length < 2 || types.length > MOST_COUNTED) return [];
  return types.map(
    (type) =>
      `{ name: ${own(type.replaceAll('.', '_'))}, aggregation: count, event: ${type}, windows: [1h, 1d] }`,
  );
}

const kinds = (name: string, of: string) =>
  `{ name: ${name}, aggregation: distinct, of: ${of}, windows: [1h, 1d] }`;

const scoreOf = ({ path, samples }: ProposedField) => entityScore({ path, values: samples, kind: 'text' });

function measured(
  { name, measure }: ProposedField,
  aggregations: readonly string[],
  windows: string,
): string {
  const { scale, range } = measure ?? { scale: 1, range: [0, 1] };
  return `{ name: ${name}, aggregation: [${aggregations.join(', ')}], of: ${name}, scale: ${scale}, range: [${range.join(', ')}], windows: [${windows}] }`;
}

/** `user_id` -> `user`. */
function entityName(field: string): string {
  const name = field.replace(/_(id|uuid|token|key|no|nr|number)$/, '');
  return NAME.test(name) && !TAKEN.has(name) ? name : field;
}

/** The vector: all that the views know, the numbers of the event itself, and how unusual they are. */
function modelFeatures(fields: readonly ProposedField[], views: readonly ProposedView[]): string[] {
  const [first] = views;
  const reads = new Set(views.map(({ name }) => name));
  // A name that is a read of a view as well means the view.
  const free = fields.filter(({ name }) => !reads.has(name));
  const taken = new Set(fields.map(({ name }) => name).concat([...reads]));
  const own = (name: string): string => {
    if (taken.has(name)) return own(`${name}_now`);
    taken.add(name);
    return name;
  };
  const measures = measuresOf(fields, first?.entity).filter((field) => free.includes(field));
  const flags = free.filter(({ type }) => type === 'bool').slice(0, MOST_CATEGORIES);
  return [
    ...views.map(({ name }) => `'${name}.*'`),
    ...measures.map(({ name }) => name),
    ...measures.map(({ name }) => `${own(`${name}_above_usual`)}: ${name} - ${first?.name}.${name}_mean_1d`),
    ...flags.map(({ name }) => `${own(`is_${name}`)}: number(${name})`),
    `${own('hour')}: hour(time)`,
  ];
}

const measuresOf = (fields: readonly ProposedField[], key: string | undefined) =>
  fields.filter(({ measure, name }) => measure !== null && name !== key).slice(0, MOST_MEASURES);
