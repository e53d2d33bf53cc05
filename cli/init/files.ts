import { generatorText, testText } from './generator.ts';
import type { Proposal, ProposedLabel, ProposedView } from './propose.ts';

/** A project's files by their paths. */
export type Files = ReadonlyMap<string, string>;

const schemaLine = (kind: string, up: string) =>
  `# yaml-language-server: $schema=${up}node_modules/millrace/docs/reference/${kind}.schema.json\n`;

/** A YAML text: quoted where it could be read as something else. */
const text = (value: string) =>
  /^[A-Za-z_][\w.-]*$/.test(value) && !/^(true|false|null|yes|no|on|off)$/i.test(value)
    ? value
    : JSON.stringify(value);

/** Whoever sends again after a time-out does so within this. */
const REPEATS_WITHIN = '10m';

export function projectFiles(proposal: Proposal, version: string): Files {
  const { predict, source, views } = proposal;
  return new Map([
    ['project.yaml', projectText(proposal)],
    [`sources/${source}.yaml`, sourceText(proposal)],
    ...(predict === null
      ? []
      : ([
          [`sources/${predict.source}.yaml`, outcomesText(proposal, predict)],
          [`models/${predict.name}.yaml`, modelText(proposal, predict)],
        ] as const)),
    ...views.map((view) => [`views/${view.name}.yaml`, viewText(view, proposal)] as const),
    ['generate.mjs', generatorText(proposal)],
    ['test/project.test.mjs', testText(proposal)],
    ['README.md', readmeText(proposal)],
    ['package.json', packageText(proposal, version)],
    ['.gitignore', 'node_modules/\n.millrace/\nhistory/\n'],
  ]);
}

function projectText({ name, source, predict }: Proposal): string {
  const histories = [source, ...(predict === null ? [] : [predict.source])];
  return `${schemaLine('project', '')}name: ${name}

# What \`millrace import\` reads; generate.mjs writes it.
history:
${histories.map((one) => `  - { reader: events, source: ${one}, file: history/${one}.jsonl }`).join('\n')}
`;
}

function sourceText(proposal: Proposal): string {
  const { source, subject, topic, key, outOfOrderness, id, type, types, time, fields, predict } = proposal;
  const mapped = fields
    .filter(({ name, path }) => name !== path)
    .map(({ name, path }) => [name, path] as const);
  const reference =
    predict === null || predict.reference === id.path ? [] : ([[predict.reference, id.path]] as const);
  const paths = [...mapped, ...reference];
  const required = fields.filter((field) => field.required).map(({ name }) => name);
  const width = Math.max(
    0,
    ...[...fields.map(({ name }) => name), predict?.reference ?? ''].map(({ length }) => length),
  );
  const typeText = 'path' in type ? text(type.path) : `{ constant: ${type.constant} }`;
  return `${schemaLine('source', '../')}source: ${source}
${topic === null ? '' : `topic: ${text(topic.name)} # of your own: Millrace neither makes nor changes it\npartitions: ${topic.partitions} # as many as it has\n`}key: ${key}
out_of_orderness: ${outOfOrderness} # an event may come this much later than a newer one
deduplicate: { within: ${REPEATS_WITHIN} } # an event whose id came within this time is a repeat, and does not count

# The records as they are: paths say where the id, the type, the time and each field are.
format:
  ${subject === null ? 'json:' : `registry:\n    subject: ${text(subject)}`}
    id: ${text(id.path)}${id.seen ? '' : ' # the sample has none: producers must add it'}
    type: ${typeText}
    time: { path: ${text(time.path)}, unit: ${time.unit} }
${paths.length === 0 ? '' : `    fields:\n${paths.map(([name, path]) => `      ${name}: ${text(path)}`).join('\n')}\n`}
fields:
${fields.map(({ name, type: kind }) => `  ${`${name}:`.padEnd(width + 1)} ${kind}`).join('\n')}
${predict === null ? '' : `  ${`${predict.reference}:`.padEnd(width + 1)} ${id.type} # the event's own id, which ${predict.source} name\n`}
# An event that does not pass goes to the dead-letter topic, with the reason.
events:
${types.map((one) => `  ${one}:\n    required: [${required.join(', ')}]`).join('\n')}
`;
}

function outcomesText({ id, outOfOrderness }: Proposal, predict: ProposedLabel): string {
  return `${schemaLine('source', '../')}# What became known of an event: the model learns from it, and is judged by it.
source: ${predict.source}
key: ${predict.reference}
out_of_orderness: ${outOfOrderness}
deduplicate: { within: ${REPEATS_WITHIN} }

format:
  json:
    id: id
    type: { constant: ${predict.event} }
    time: { path: time, unit: iso }

fields:
  ${predict.reference}: ${id.type} # id of the event
  ${predict.name}: bool

events:
  ${predict.event}:
    required: [${predict.reference}, ${predict.name}]
`;
}

function viewText(view: ProposedView, { source, predict, resolution }: Proposal): string {
  return `${schemaLine('view', '../')}# What is known of ${view.entity.replaceAll('_', ' ')}, over windows that end now.
view: ${view.name}
entity: [${view.entity}]
${predict === null ? '' : `source: ${source}\n`}resolution: ${resolution} # features move in steps of this

features:
${view.features.map((feature) => `  - ${feature}`).join('\n')}
`;
}

function modelText({ types, source, views }: Proposal, predict: ProposedLabel): string {
  return `${schemaLine('model', '../')}# Will ${predict.name} be true? Asked with each ${types[0]}, answered by ${predict.event}.
model: ${predict.name}
request: ${types[0]}
source: ${source}

reads:
${views.map(({ name }) => `  ${name}:`).join('\n')}

features:
${predict.features.map((feature) => `  - ${feature}`).join('\n')}

label:
  event: ${predict.event}
  source: ${predict.source}
  join: [${predict.reference}]
  check: ${predict.name}

trainer: { name: logistic } # quick, and good on little data; try dense or trees next
threshold: 0.5
gate: { max_wait: 50ms }
`;
}

function packageText({ name }: Proposal, version: string): string {
  const value = {
    name,
    private: true,
    type: 'module',
    scripts: { dev: 'millrace dev', check: 'millrace check', test: 'node --test' },
    dependencies: { chdb: '3.4.0', millrace: version },
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function readmeText(proposal: Proposal): string {
  const { name, source, subject, topic, types, key, views, predict, notes, resolution } = proposal;
  const files = [
    `| \`sources/${source}.yaml\` | what ${types.join(', ')} looks like, and when it is too late |`,
    ...(predict === null
      ? []
      : [
          `| \`sources/${predict.source}.yaml\` | how it becomes known whether \`${predict.name}\` was true |`,
          `| \`models/${predict.name}.yaml\` | what the model sees, and what it predicts |`,
        ]),
    ...views.map((view) => `| \`views/${view.name}.yaml\` | features of each \`${view.entity}\` |`),
    '| `generate.mjs` | look-alike events: history, and a live stream |',
    '| `test/project.test.mjs` | a first test: `node --test` |',
  ];
  const model =
    predict === null
      ? ''
      : `
## A first prediction

\`\`\`
node generate.mjs              # two weeks of look-alike history
npx millrace up                # Kafka, Valkey, a schema registry and ClickHouse, on this machine
npx millrace apply             # topics, schemas, tables
npx millrace import            # the history, into ClickHouse
npx millrace train             # the model, from the same definitions
npx millrace backfill state    # the features as the history left them, for what comes live
npx millrace dev               # every stream, until Ctrl-C; it applies what you change in the YAML
\`\`\`

and in another terminal an event, a question about one to come, and what became known of the first:

\`\`\`
${posted(`events/${source}`, exampleEvent(proposal))}
${posted(`models/${predict.name}/predict`, { request: exampleRequest(proposal) })}
${posted(`events/${predict.source}`, exampleOutcome(proposal, predict))}
\`\`\`

The first event starts the clock of the features: until some seconds after it the answer is 409 (\`no_frontier\`). Features follow the time of the
events, in steps of ${resolution}: an event counts in them once later ones have come. Look-alike events keep them moving:

\`\`\`
node generate.mjs --live           # sends events
npx millrace predictions tail      # in one more terminal: answers, as they come
\`\`\`

Where you change a view, \`npx millrace backfill state --view NAME --replace\` gives it its past; where the features of the model change,
\`npx millrace train --promote\` trains a version that fits them. Until then the definition before goes on answering.
`;
  const without =
    predict !== null
      ? ''
      : `
## First features

\`\`\`
npx millrace dev                   # a local stack and every stream, until Ctrl-C; it applies what you change in the YAML
node generate.mjs --live           # in another terminal: sends events
npx millrace features get ${key}=VALUE
\`\`\`

To predict something, see "Model" in the configuration reference, or run \`millrace init --predict NAME\` in another directory.
`;
  return `# ${name}

Made by \`millrace init\` from sample records. Everything here is yours to change; \`npx millrace check\` says what is wrong,
with file, line and mend.

| file | what it says |
|---|---|
${files.join('\n')}
${notes.length === 0 ? '' : `\nLook at these first:\n\n${notes.map((note) => `* ${note}`).join('\n')}\n`}${model}${without}
The local stack needs Java 17, Maven and Python's pip, or Docker; or name servers of your own in \`connections.yaml\`.

## Your own events

Records go to the Kafka topic \`${topic?.name ?? `${name}.${source}.raw`}\` as they are${subject === null ? ' (JSON)' : ''}, keyed by \`${key}\`${
    predict === null
      ? ''
      : `, and what became known to
\`${name}.${predict.source}.raw\``
  }. What is refused comes to the dead-letter topic with its reason: \`npx millrace dead-letters ls\`.

While \`millrace dev\` runs, by HTTP as well, with the names that the source declares; an answer of 422 says what does not fit:

\`\`\`
${posted(`events/${source}`, exampleEvent(proposal))}
\`\`\`

## Before you deploy a change

\`\`\`
npx millrace try views/${views[0]?.name ?? 'view'}.yaml --on history/${source}.jsonl     # values, cost and gain; touches no server
\`\`\`
`;
}

const EXAMPLES = {
  string: 'text',
  int: 1,
  double: 1.5,
  bool: true,
  timestamp: '2026-01-31T12:00:00Z',
} as const;

type Example = Readonly<Record<string, unknown>>;

const posted = (path: string, body: Example) =>
  `curl localhost:8420/v1/${path} -H 'content-type: application/json' -d '${JSON.stringify(body)}'`;

/** What a model is asked: an event without its type. Without a time it is of now. */
const exampleRequest = ({ fields }: Proposal): Example =>
  Object.fromEntries(fields.map(({ name, type }) => [name, EXAMPLES[type]]));

/** An event as the API takes it: flat, by the names of the fields. */
function exampleEvent(proposal: Proposal): Example {
  const { id, types, predict } = proposal;
  return {
    ...(predict === null ? { id: id.type === 'int' ? '1' : 'e-1' } : { [predict.reference]: firstId(id) }),
    ...(types.length > 1 ? { type: types[0] } : {}),
    ...exampleRequest(proposal),
  };
}

const exampleOutcome = ({ id }: Proposal, { reference, name }: ProposedLabel): Example => ({
  [reference]: firstId(id),
  [name]: true,
});

const firstId = ({ type }: Proposal['id']) => (type === 'int' ? 1 : 'e-1');
