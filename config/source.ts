import { isOfEnvelope, stepsOf } from '../schemas/envelope.ts';
import type { EventRecord } from '../schemas/event.ts';
import { ownColumns } from '../schemas/names.ts';
import type { EventMapping, Field, Rule, Source, SourceFormat } from '../schemas/project.ts';
import type { Place } from './document.ts';
import { formatDuration, parseDuration } from './durations.ts';
import {
  createExpressionCompiler,
  type ExpressionCompiler,
  expressionTypeOf,
  type ScopeTypes,
} from './expression.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import type { RuleDeclaration, SourceDeclaration } from './source-declaration.ts';

/** Names that every event has. */
const EVENT_NAMES = ['id', 'type', 'time'] as const;

/** What expressions over an event of a source may name. */
export function scopeOf(fields: readonly Field[]): ScopeTypes {
  return {
    id: 'string',
    type: 'string',
    time: 'number',
    ...Object.fromEntries(fields.map((field) => [field.name, expressionTypeOf(field.type)])),
  };
}

function compileRule(
  rule: RuleDeclaration,
  place: Place,
  compiler: ExpressionCompiler,
  reporter: Reporter,
): Rule | null {
  const compiled = compileAt(reporter, compiler, inside(place, 'check'), rule.check, 'bool');
  if (compiled === null) return null;
  const { evaluate } = compiled;
  return {
    name: rule.name,
    message: rule.message,
    passes: (event: EventRecord) => evaluate(event) as boolean | null,
  };
}

/** A mapping of all `fields`: one that is not listed has its own name as its path. */
export function mappingOf(declared: Mapping, fields: readonly string[]): EventMapping {
  return {
    id: declared.id,
    type: typeof declared.type === 'string' ? { path: declared.type } : declared.type,
    time: declared.time,
    fields: Object.fromEntries(fields.map((name) => [name, pathOf(declared, name)])),
  };
}

function formatOf(declaration: SourceDeclaration): SourceFormat {
  const { format } = declaration;
  if (format === 'avro') return { kind: 'avro' };
  const mapping = mappingOf(
    'json' in format ? format.json : format.registry,
    Object.keys(declaration.fields),
  );
  return 'json' in format
    ? { kind: 'json', mapping }
    : { kind: 'registry', subject: format.registry.subject, mapping };
}

type Mapping = Extract<SourceDeclaration['format'], { json: unknown }>['json'];

/** A field may be called `constructor`, which every object has by birth. */
const pathOf = ({ fields }: Pick<Mapping, 'fields'>, name: string): string =>
  (Object.hasOwn(fields, name) ? fields[name] : undefined) ?? name;

/** Reports paths that no record can have: names that Avro forbids, and a value that another path takes for a block. */
function checkPaths(
  mapped: Mapping,
  fields: readonly string[],
  kind: 'json' | 'registry',
  place: Place,
  reporter: Reporter,
): void {
  const paths = [
    { path: mapped.id, at: inside(place, 'id') },
    ...(typeof mapped.type === 'string' ? [{ path: mapped.type, at: inside(place, 'type') }] : []),
    { path: mapped.time.path, at: inside(place, 'time', 'path') },
    ...fields.map((name) => ({ path: pathOf(mapped, name), at: inside(place, 'fields', name) })),
  ];
  if (mapped.time.path === '$timestamp' && mapped.time.unit !== 'ms')
    reporter.report(inside(place, 'time', 'unit'), "'$timestamp' is in milliseconds.", "Write 'unit: ms'.");
  for (const { path, at } of paths) {
    if (isOfEnvelope(stepsOf(path))) {
      if (!/^(\$headers\..+|\$key|\$timestamp)$/.test(path))
        reporter.report(
          at,
          `'${path}' names nothing beside the record's value.`,
          "Write '$headers.NAME', '$key' or '$timestamp'.",
        );
      continue;
    }
    const other = paths.find((one) => one.path.startsWith(`${path}.`));
    if (other !== undefined)
      reporter.report(
        at,
        `'${path}' is read as a value, and '${other.path}' says that it is a block.`,
        'Correct one of the two paths.',
      );
    else if (kind === 'registry' && !/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(path))
      reporter.report(
        at,
        `'${path}' is no path in an Avro record: its names are letters, digits and _.`,
        'Write the names as the schema has them.',
      );
  }
}

/** Silence after which views no longer wait for a partition whose source declares none, ms. */
export function idleAfterByDefault(outOfOrderness: number): number {
  return Math.max(1_000, outOfOrderness);
}

/** Ids are read back from the validated topic when a partition is taken over: it must keep them for as long as they count. */
export function checkMemory(
  { source, deduplicate }: SourceDeclaration,
  place: Place,
  reporter: Reporter,
  validatedRetention: number,
): void {
  if (deduplicate === undefined) return;
  const within = parseDuration(deduplicate.within) ?? 0;
  const at = inside(place, 'deduplicate', 'within');
  if (within === 0)
    reporter.report(at, 'No time can pass until a repeat.', 'Write `10m`, or leave `deduplicate` out.');
  if (within > validatedRetention)
    reporter.report(
      at,
      `The validated topic of '${source}' is kept for ${formatDuration(validatedRetention)}, and ingest reads the ids of ${deduplicate.within} back from it when it starts.`,
      'Write a shorter time, or raise retention.validated in project.yaml.',
    );
}

function deduplicationOf({ deduplicate }: SourceDeclaration): Source['deduplicate'] {
  if (deduplicate === undefined) return null;
  return { within: parseDuration(deduplicate.within) ?? 0, atMost: deduplicate.at_most };
}

function rejectsOf({ rejects }: SourceDeclaration, place: Place, reporter: Reporter): Source['rejects'] {
  if (rejects === undefined) return null;
  const within = parseDuration(rejects.within) ?? 0;
  if (within === 0)
    reporter.report(
      inside(place, 'rejects', 'within'),
      'No record can be refused in no time.',
      'Write `1m`.',
    );
  return { atMost: rejects.at_most, within };
}

export function compileSource(
  declaration: SourceDeclaration,
  place: Place,
  reporter: Reporter,
  partitions: number | undefined,
): Source {
  const fields: Field[] = Object.entries(declaration.fields).map(([name, type]) => ({ name, type }));
  const known = fields.map((field) => field.name);
  for (const name of EVENT_NAMES)
    if (known.includes(name))
      reporter.report(
        inside(place, 'fields', name),
        `Every event has '${name}' already.`,
        'Remove the field, or give it another name.',
        { key: true },
      );
  for (const name of ownColumns.events)
    if (known.includes(name))
      reporter.report(
        inside(place, 'fields', name),
        `The table of events has a column '${name}' of its own.`,
        'Give the field another name.',
        { key: true },
      );
  const checkField = (name: string, at: Place, among: readonly string[] = known, key = false) => {
    if (!among.includes(name))
      reporter.report(
        at,
        `The source '${declaration.source}' has no field '${name}'.`,
        mendOfUnknown(name, among),
        { key },
      );
  };
  checkField(declaration.key, inside(place, 'key'), ['id', ...known]);

  const compiler = createExpressionCompiler(scopeOf(fields));
  const rulesAt = (rules: readonly RuleDeclaration[], at: Place) =>
    rules.flatMap((rule, index) => {
      if (rules.findIndex((other) => other.name === rule.name) < index)
        reporter.report(
          inside(at, index, 'name'),
          `Two rules have the name '${rule.name}'.`,
          'Give one another name.',
        );
      const compiled = compileRule(rule, inside(at, index), compiler, reporter);
      return compiled === null ? [] : [compiled];
    });
  const common = rulesAt(declaration.rules, inside(place, 'rules'));
  const events = Object.entries(declaration.events).map(([name, event]) => {
    const at = inside(place, 'events', name);
    const required = event?.required ?? [];
    for (const [index, field] of required.entries()) checkField(field, inside(at, 'required', index));
    return { name, required, rules: [...common, ...rulesAt(event?.rules ?? [], inside(at, 'rules'))] };
  });
  if (events.length === 0)
    reporter.report(
      inside(place, 'events'),
      `The source '${declaration.source}' has no events.`,
      'Name at least one type of event.',
    );
  if (declaration.topic !== undefined && declaration.format === 'avro')
    reporter.report(
      inside(place, 'topic'),
      `A topic of your own has a format of its own, and 'avro', the default, is one that Millrace makes of the fields.`,
      "Write 'format: {json: …}' or 'format: {registry: …}' with the paths of its records.",
    );
  if (typeof declaration.format === 'object') {
    const kind = 'json' in declaration.format ? 'json' : 'registry';
    const mapped = 'json' in declaration.format ? declaration.format.json : declaration.format.registry;
    const at = inside(place, 'format', kind);
    for (const name of Object.keys(mapped.fields)) checkField(name, inside(at, 'fields', name), known, true);
    checkPaths(mapped, known, kind, at, reporter);
  }
  const outOfOrderness = parseDuration(declaration.out_of_orderness) ?? 0;
  const idleAfter = declaration.idle_after === undefined ? null : parseDuration(declaration.idle_after);
  if (idleAfter !== null && idleAfter < idleAfterByDefault(outOfOrderness))
    reporter.report(
      inside(place, 'idle_after'),
      `A partition is waited for during ${formatDuration(idleAfterByDefault(outOfOrderness))} anyway.`,
      'Write a longer time, or leave idle_after out.',
    );
  return {
    name: declaration.source,
    ...(declaration.topic === undefined ? {} : { topic: declaration.topic }),
    partitions: partitions ?? declaration.partitions,
    format: formatOf(declaration),
    fields,
    events,
    key: declaration.key,
    outOfOrderness,
    maxFuture: declaration.max_future === 'never' ? null : parseDuration(declaration.max_future),
    idleAfter,
    deduplicate: deduplicationOf(declaration),
    rejects: rejectsOf(declaration, place, reporter),
  };
}
