import { AGGREGATIONS } from '../schemas/view.ts';
import { NEEDS } from './aggregations.ts';
import { FILES } from './declarations.ts';
import { FUNCTIONS, NULL_FUNCTIONS, TEXT_METHODS } from './functions.ts';
import { FILE_KINDS, jsonSchemaOf, schemaFileOf } from './json-schema.ts';
import { HINTS } from './texts.ts';
import { MAX_TILES, WARN_TILES } from './tiles.ts';

/** The configuration reference, generated from the one schema that checks every file. */

export const REFERENCE_FILE = 'configuration.md';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema | readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}

const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function bounds(schema: Schema): string {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  // The widest whole number is the schema's way to say that there is no bound.
  const high = schema.maximum === Number.MAX_SAFE_INTEGER ? undefined : schema.maximum;
  if (low === undefined || low === Number.MIN_SAFE_INTEGER) return high === undefined ? '' : ` to ${high}`;
  const above = schema.minimum === undefined ? `above ${low}` : `${low}`;
  if (high === undefined) return schema.minimum === undefined ? ` ${above}` : `, at least ${low}`;
  return ` ${above} to ${high}`;
}

const KINDS = Object.keys(HINTS) as (keyof typeof HINTS)[];

/** A description without what the value's column says already. */
function withoutHint(description: string): string {
  let text = description;
  for (const hint of Object.values(HINTS)) if (text.endsWith(hint)) text = text.slice(0, -hint.length);
  return text;
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum?.length === AGGREGATIONS.length) return '[aggregation](#aggregations)';
  if (schema.enum !== undefined) return schema.enum.map(code).join(' ');
  if (schema.anyOf !== undefined) {
    const parts = schema.anyOf.filter((one) => one.type !== 'null').map(typeOf);
    return [...new Set(parts)].join(' or ');
  }
  switch (schema.type) {
    case 'array':
      return Array.isArray(schema.items)
        ? 'list of two'
        : `list of ${typeOf((schema.items ?? {}) as Schema)}`;
    case 'object':
      return schema.properties === undefined ? 'block by name' : 'block';
    case 'integer':
      return `whole number${bounds(schema)}`;
    case 'number':
      return `number${bounds(schema)}`;
    case 'boolean':
      return '`true` `false`';
    default:
      return KINDS.find((kind) => schema.description?.endsWith(HINTS[kind])) ?? 'text';
  }
}

const cell = (text: string) => text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();

/** Rows of a table: one for each key, then those inside it. */
function rows(schema: Schema, path: string, choice = false): string[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`;
    const description =
      value.description ?? value.anyOf?.find((one) => one.description !== undefined)?.description ?? '';
    const plain = value.default !== undefined && typeof value.default !== 'object';
    const presence = required.has(key) && !choice ? '**needed**' : plain ? code(value.default) : '';
    return [
      `| \`${own}\` | ${cell(typeOf(value))} | ${presence} | ${cell(withoutHint(description))} |`,
      ...inner(value, own),
    ];
  });
}

/** `choice`: one of several forms, told by its only key, which is no more needed than the others. */
function inner(schema: Schema, path: string, choice = false): string[] {
  if (schema.anyOf !== undefined)
    return schema.anyOf.flatMap((one) =>
      one.type === 'object' ? inner(one, path, one.required?.length === 1) : [],
    );
  if (schema.type === 'array' && !Array.isArray(schema.items))
    return inner((schema.items ?? {}) as Schema, `${path}[]`);
  if (schema.properties !== undefined) return rows(schema, path, choice);
  const each = schema.additionalProperties;
  return typeof each === 'object' ? inner(each, `${path}.NAME`) : [];
}

const EXAMPLES: Readonly<Record<keyof typeof FILES, string>> = {
  project: `name: shop
history: {reader: events, source: orders}`,
  source: `source: orders
key: order_id
out_of_orderness: 5s
fields: {order_id: string, customer: string, amount: double}
rules:
  - {name: positive, check: amount > 0, message: The amount is not above zero.}
events:
  order.placed: {required: [order_id, customer, amount]}
  order.returned: {required: [order_id]}`,
  view: `view: customer
entity: [customer]
resolution: 1m
event: order.placed
features:
  - {name: orders, aggregation: count, windows: [1h, 1d]}          # orders_1h, orders_1d
  - {name: spent, aggregation: [sum, mean], of: amount, scale: 100, range: [0, 10000], windows: [7d]}
  - {name: dear, aggregation: share, of: amount > 100, windows: [7d]}`,
  model: `model: returned
request: order.placed
reads:
  customer:
features:
  - customer.*
  - amount
  - over_usual: amount / customer.spent_mean_7d
label: {event: order.returned, join: [order_id], check: 'true', maturity: 0s}`,
  alerts: `rules:
  - rule: model_worse
    on: quality
    statistics: [log_loss]
    condition: low > 0.3
    severity: page
    summary: '{model} loses {value} a prediction.'

routes:
  - {severity: [page], to: [oncall]}`,
  pipelines: `pipelines:
  - pipeline: weekly
    model: returned
    start: {every: 7d, alerts: [model_worse]}
    steps:
      - {step: dataset, with: {last: 75d}}
      - {step: train}
      - {step: gate}
      - {step: register}
      - {step: shadow}
      - {step: decide}`,
  connections: `registry: {url: https://schemas.example.com, username: shop, password: '\${env:REGISTRY_PASSWORD:-}'}
receivers:
  oncall: {webhook: 'https://example.com/alerts', secret: '\${env:WEBHOOK_SECRET:-}'}`,
};

function fileSection(kind: keyof typeof FILES): string {
  const { title, file, schema } = FILES[kind];
  const table = rows(jsonSchemaOf(kind) as Schema, '');
  // Sources have a section of their own, inline or not.
  const shown = kind === 'project' ? table.filter((row) => !row.startsWith('| `sources[]')) : table;
  return `## ${title}: \`${file}\`

${schema.description ?? ''} For editors: [${schemaFileOf(kind)}](${schemaFileOf(kind)}).

\`\`\`yaml
${EXAMPLES[kind]}
\`\`\`

| key | value | default | meaning |
|---|---|---|---|
${shown.join('\n')}
`;
}

const READS = {
  none: 'events',
  optional: 'events, or the value',
  condition: 'a condition',
  value: 'a number',
  any: 'a text, a number or a condition',
} as const;

const MEANING: Readonly<Record<(typeof AGGREGATIONS)[number], string>> = {
  count: 'how many',
  sum: 'their sum',
  mean: 'their mean',
  min: 'the smallest',
  max: 'the largest',
  variance: 'the population variance',
  stddev: 'its square root',
  share: 'the part for which it is true, 0 to 1',
  last: 'that of the newest event',
  seconds_since_last: 'seconds from the newest event to the request',
  decayed_sum: 'the sum, each event halved by each `half_life` of its age',
  decayed_mean: 'the mean, weighted so',
  distinct: 'how many different ones (HyperLogLog)',
  quantile: 'the quantiles (DDSketch)',
};

function aggregations(): string {
  const lines = AGGREGATIONS.map((name) => {
    const { of, adds, periodic } = NEEDS[name];
    const needs = [
      of === 'none' ? '' : of === 'optional' ? '' : '`of`',
      of === 'value' ? '`scale`' : '',
      adds ? '`range`' : '',
      name.startsWith('decayed') ? '`half_life`' : '',
      name === 'quantile' ? '`quantiles`' : '',
    ].filter((one) => one !== '');
    return `| \`${name}\` | ${READS[of]} | ${MEANING[name]} | ${needs.join(' ')} | ${periodic ? 'yes' : 'no'} |`;
  });
  return `## Aggregations

| name | reads | gives | needs | periodic |
|---|---|---|---|---|
${lines.join('\n')}

Without any event in the window the value is null; \`count\` and \`sum\` are 0.

* A window is a multiple of the resolution (of \`sketch_resolution\` for \`distinct\` and \`quantile\`, at least six of them), and at most 100d.
* Values are rounded once to whole units of 1 / \`scale\` and clipped to \`range\`, so that sums do not depend on the order of events.
  Sums stay exact for ten million events of the largest value; the loader refuses a range and scale that would not.
* \`slack\` is at least 4 times the largest of \`out_of_orderness\`, \`read_delay\`, \`resolution\` and \`sketch_resolution\`.
* A stretch of a periodic feature (\`times\` and \`stretches\`) is read on the local clock where the model's read names a \`zone\`.
  Its times are multiples of the resolution, and it ends early enough to be known when a request comes.
* An entity can have at most ${MAX_TILES.toLocaleString('en')} tiles; \`millrace check\` warns above ${WARN_TILES.toLocaleString('en')}, and prints the hop and the edge of every window.
`;
}

const ours = (signature: string) =>
  signature.replaceAll('double', 'number').replaceAll('string', 'text').replaceAll('bool', 'condition');

function expressions(): string {
  const functions = [
    ...FUNCTIONS.map(({ signature, description }) => `| \`${ours(signature)}\` | ${description} |`),
    ...NULL_FUNCTIONS.map(
      ({ signatures, description }) => `| \`${ours(signatures[0] ?? '')}\` | ${description} |`,
    ),
  ];
  const methods = [...Object.keys(TEXT_METHODS), 'matches'].map((name) => `\`${name}\``).join(' ');
  return `## Expressions

Expressions are [CEL](https://cel.dev), checked for types when the project is loaded. They may name \`id\`, \`type\`, \`time\` and the fields of
the source; those of a model also its reads (\`customer.orders_1h\`) and its other computed features. A read hides a field of the same name.

* Numbers are doubles and need no decimal point: \`delay > 15\`. A timestamp is a number of milliseconds since 1970.
* Operators: \`+ - * / %\`, \`< <= > >= == !=\`, \`&& || !\`, \`x ? y : z\`, \`x in ["a", "b"]\`. Text has the methods ${methods}.
  \`x.matches("^A[0-9]+$")\` takes a regular expression of [RE2](https://github.com/google/re2/wiki/Syntax), found anywhere in the text: it has no look-around and no back-references,
  and takes time linear in the length of the text.
* An expression may have 1,000 operations; a computed feature may take 10,000, with those of the features that it uses.
* Null: whatever has a null operand is null, except that \`false && null\` is false and \`true || null\` is true, as in SQL. \`x == null\`, \`has(x)\`
  and \`coalesce\` look at null itself. A number that is not finite is null. A rule whose check is null does not pass; a \`where\` that is null does not count.
* In YAML, put an expression in quotes where it begins with a quote, \`[\`, \`{\` or \`!\`, or holds \`: \` or \` #\`.

| function | gives |
|---|---|
${functions.join('\n')}

\`pi\` is a constant.
`;
}

export function configurationReference(): string {
  return `<!-- Generated from the schema by \`npm run generate\`. Do not edit. -->
# Configuration

A project is a directory of YAML files. \`millrace check --project DIR\` says everything that is wrong in it at once, each with file, line, column and
the mend, and what the project costs; unknown keys are refused with the nearest known one.

\`\`\`
project.yaml        name, sources, history, retention
sources/*.yaml      a source each, where they are not in project.yaml
views/*.yaml        the features of one kind of entity each (or features/*.yaml)
models/*.yaml       a model each
connections.yaml    where the servers are, as far as they are not where the defaults below say
\`\`\`

Durations are written \`90s\`, \`5m\`, \`13h15m\`, \`7d\`; names in small letters, digits and \`_\`, starting with a letter. Passwords and keys are never written out: \`\${env:NAME}\` takes a value from the
environment, \`\${env:NAME:-default}\` with a default (for a secret only an empty one: it may then be absent), \`\${file:PATH}\` the text of a file (an absolute path, or one from the directory of the project); these work in \`connections.yaml\`.
A file that begins with \`# yaml-language-server: $schema=…/view.schema.json\` is completed and checked by editors.

${FILE_KINDS.map(fileSection).join('\n')}
${aggregations()}
${expressions()}`;
}
