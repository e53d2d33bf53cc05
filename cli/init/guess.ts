import type { ObservedPath, Value } from './observe.ts';

/** Guesses from names and values. Each is a proposal that a person may change. */

export type TimeUnit = 'ms' | 's' | 'iso';

/** Date and time with a zone; one without a zone could be anybody's. */
const ISO = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})$/;
const ISO_WITHOUT_ZONE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?$/;

/** 1980 to 2100: a number outside is no time of a live topic. */
const EARLIEST_MS = Date.UTC(1980, 0);
const LATEST_MS = Date.UTC(2100, 0);

const between = (value: Value, factor: number) =>
  typeof value === 'number' && value * factor >= EARLIEST_MS && value * factor <= LATEST_MS;

/** How a path writes time; null where its values are no times. */
export function unitOf({ values }: ObservedPath): TimeUnit | null {
  if (
    values.every((value) => typeof value === 'string' && ISO.test(value) && !Number.isNaN(Date.parse(value)))
  )
    return 'iso';
  if (values.every((value) => between(value, 1))) return 'ms';
  if (values.every((value) => between(value, 1_000))) return 's';
  return null;
}

/** Why a path that looks like a time cannot be the event time; null where it does not look like one. */
export function whyNoTime({ path, values }: ObservedPath): string | null {
  if (values.every((value) => typeof value === 'string' && ISO_WITHOUT_ZONE.test(value)))
    return `${path} has no time zone: write it as 2026-01-31T12:00:00Z.`;
  for (const [factor, unit] of [
    [1e-3, 'microseconds'],
    [1e-6, 'nanoseconds'],
  ] as const)
    if (values.every((value) => between(value, factor)))
      return `${path} counts ${unit}: send milliseconds, seconds or ISO 8601 text.`;
  return null;
}

/** Epoch ms of a value in a unit. */
export const timeOf = (value: Value, unit: TimeUnit): number =>
  unit === 'iso' ? Date.parse(String(value)) : Number(value) * (unit === 's' ? 1_000 : 1);

const lastStep = (path: string) => path.split('.').at(-1) ?? '';

/** `createdAt` -> `created_at`: names compare word by word. */
export const words = (path: string): string =>
  path
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();

/** Higher is likelier; 0 = no. The shallower of two equals wins. */
const score = (pattern: readonly RegExp[], path: string): number => {
  const name = words(lastStep(path));
  const place = pattern.findIndex((one) => one.test(name));
  return place < 0 ? 0 : 100 - 10 * place - path.split('.').length;
};

function best(paths: readonly ObservedPath[], of: (path: ObservedPath) => number): ObservedPath | undefined {
  let chosen: ObservedPath | undefined;
  for (const path of paths) if (of(path) > (chosen === undefined ? 0 : of(chosen))) chosen = path;
  return chosen;
}

const TIME_NAMES = [
  /^(event_)?time(stamp)?(_ms|_utc)?$|^ts$/,
  /^(created|occurred|happened|measured|observed|sent|recorded|logged|viewed|emitted)(_at|_on|_time)?$/,
  /(_at|_time|_ts|timestamp)$/,
  /date|time/,
];

export const guessTime = (paths: readonly ObservedPath[]) =>
  best(
    paths.filter((path) => unitOf(path) !== null),
    // A number that could be a time by its size alone (an id, a counter) is none without a name that says so.
    ({ path, kind }) => score(TIME_NAMES, path) + (kind === 'text' ? 1 : 0),
  );

const ID_NAMES = [
  /^(event|message|msg|record|request|reading|view)_?(id|uuid|guid)$/,
  /^(id|uuid|guid|_id)$/,
];

const unique = ({ values }: ObservedPath, records: number) =>
  values.length === records && new Set(values).size === records;

/** What happens once, and then has a name of its own. */
const HAPPENINGS =
  'order booking rental hire trip ride journey payment transaction invoice ticket claim call visit purchase shipment delivery reservation bid loan application';

/** `about` names the events: `rental_id` is the id of one of `rentals`. Null where several events may share such an id. */
export function guessId(
  paths: readonly ObservedPath[],
  records: number,
  about: string | null,
): ObservedPath | undefined {
  const patterns = [
    ...ID_NAMES,
    ...(about === null
      ? []
      : [about, HAPPENINGS.replaceAll(' ', '|')].map(
          (names) => new RegExp(`^(${names})_?(id|uuid|guid|no|nr|number)$`),
        )),
  ];
  return best(
    paths.filter((path) => unique(path, records) && canBeId(path)),
    ({ path }) => (path.includes('.') ? 0 : score(patterns, path)),
  );
}

/** Texts, or whole numbers. */
export const canBeId = ({ kind, values }: ObservedPath) =>
  kind === 'text' || values.every((value) => Number.isSafeInteger(value));

const TYPE_NAMES = [/^(event_?)?type$/, /^event(_?name)?$/, /^kind$/, /^action$/];
const MOST_TYPES = 20;
export const EVENT_NAME = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/;

export const guessType = (paths: readonly ObservedPath[], records: number) =>
  best(
    paths.filter(
      ({ kind, values }) =>
        kind === 'text' &&
        values.length === records &&
        values.every((value) => EVENT_NAME.test(String(value))) &&
        new Set(values).size <= MOST_TYPES,
    ),
    ({ path }) => (path.includes('.') ? 0 : score(TYPE_NAMES, path)),
  );

const ENTITY_NAMES = [
  /^(user|customer|client|member|account|player|visitor|patient|driver|card|device|sensor|machine|vehicle|meter|station|host)(_?(id|no|nr|number|key|token|uuid))?$/,
  /^(session|cookie|ip)(_?(id|address|token))?$/,
  /_?(id|token|key|uuid|name)$/,
  /^(room|city|country|region|site|zone|store|shop|page|product|item|sku|merchant)$/,
];

/** Nested names too: `card.token` is as good as `card_token`. */
export const entityScore = ({ path }: ObservedPath): number =>
  Math.max(
    score(ENTITY_NAMES, path),
    score(ENTITY_NAMES, words(path).replace(/^.*?_?([a-z]+_[a-z]+)$/, '$1')),
  );

export const guessKey = (paths: readonly ObservedPath[]) =>
  best(paths, entityScore) ?? paths.find(({ kind }) => kind === 'text');

/** Integers by their name: one sample of 3 does not say that 3.5 never comes. */
const WHOLE = /(^|_)(id|no|nr|count|quantity|qty|number|code|status|port|bytes|ms|year|items|retries)$/;
const ENOUGH = 20;

export function fieldTypeOf(path: ObservedPath): 'string' | 'int' | 'double' | 'bool' | 'timestamp' {
  if (path.kind === 'bool') return 'bool';
  const unit = unitOf(path);
  if (path.kind === 'text') return unit === 'iso' ? 'timestamp' : 'string';
  if (unit === 'ms' && score(TIME_NAMES, path.path) > 0) return 'timestamp';
  const whole = path.values.every((value) => Number.isSafeInteger(value));
  return whole && (path.values.length >= ENOUGH || WHOLE.test(words(path.path))) ? 'int' : 'double';
}

/** A number that names something: adding it up means nothing. */
export const namesSomething = (path: string) =>
  /(^|_)(id|no|nr|code|port|status|zip|postcode|year|lat|lon|latitude|longitude|version)$/.test(words(path));

const NEVER_NEGATIVE =
  /(count|quantity|qty|duration|seconds|_ms$|amount|price|total|size|bytes|age|percent|humidity|speed|distance|length|width|height|weight|score|rate|pressure|latency|visits|clicks|views|fee|cost|power|energy|volume)/;

/** Largest value times scale whose square still sums up exactly. */
const MOST_UNITS = 200_000_000;

/**
 * Whole units in 1, and the smallest and largest value that features take; wide, since a sample shows little. Null
 * for numbers too large to be added up exactly: they are counters or names, not measures.
 */
export function spread(
  path: ObservedPath,
): { readonly scale: number; readonly range: readonly [number, number] } | null {
  const numbers = path.values.map(Number);
  const largest = Math.max(1, ...numbers.map(Math.abs));
  const bound = 10 ** Math.ceil(Math.log10(largest * 10));
  if (bound > MOST_UNITS) return null;
  const decimals = Math.max(...numbers.map((value) => `${value}`.split('.')[1]?.length ?? 0));
  const wanted = fieldTypeOf(path) === 'int' ? 0 : Math.min(3, Math.max(2, decimals));
  const scale = 10 ** Math.min(wanted, Math.floor(Math.log10(MOST_UNITS / bound)));
  const negative = numbers.some((value) => value < 0) || !NEVER_NEGATIVE.test(words(path.path));
  return { scale, range: [negative ? -bound : 0, bound] };
}

/** A text that groups events, such as a page or a country; not prose, and not another name for the event itself. */
export function isCategory(path: ObservedPath): boolean {
  const texts = path.values.map(String);
  if (path.kind !== 'text' || texts.some((text) => text.length > 60 || / \S+ \S+ /.test(text))) return false;
  if (/(agent|message|text|comment|description|title|body|token_hash|signature)$/.test(words(path.path)))
    return false;
  return texts.length < ENOUGH || new Set(texts).size <= 0.7 * texts.length;
}
