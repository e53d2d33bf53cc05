import type { z } from 'zod';
import type { ConfigDocument, Path } from './document.ts';
import { mendOfUnknown, nearest } from './nearest.ts';
import type { Problem } from './problems.ts';
import { HINTS } from './texts.ts';

/** Turns what the schema says into sentences that name the place and the mend. */

interface Format {
  readonly message: string;
  readonly mend: string;
}

const FORMATS: Readonly<Record<string, Format>> = {
  duration: { message: 'is not a duration.', mend: 'Write it as 90s, 5m, 6h, 7d or 13h15m.' },
  expression: {
    message: 'is not an expression.',
    mend: "Write it as a text: amount > 100, in quotes where it is a word or a number alone ('true').",
  },
  name: { message: 'is not a name.', mend: 'Use small letters, digits and _, starting with a letter.' },
  reference: {
    message: 'is neither true nor false.',
    mend: 'Write true, false, or a block with ca, cert and key.',
  },
  path: { message: 'is not a path.', mend: 'Write it as card.token.' },
  'list path': {
    message: 'reads an element of a list, which a path cannot.',
    mend: 'Name a field outside of lists, such as card.token, or let the producer send the element as a field.',
  },
  'event name': { message: 'is not the name of an event type.', mend: 'Write it as flight.departed.' },
  topic: {
    message: 'is not the name of a topic.',
    mend: 'Use at most 249 letters, digits, dots, - and _.',
  },
  'project name': {
    message: 'is not a project name.',
    mend: 'Use small letters, digits and -, starting with a letter.',
  },
};

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list of two',
  object: 'a block of keys',
  record: 'a block of keys',
};

interface SchemaDef {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly items?: readonly z.ZodType[];
}

const defOf = (schema: z.ZodType) => schema.def as unknown as SchemaDef;

/** Keys that a block may have at a path of a schema. */
function keysAt(schema: z.ZodType, path: Path): string[] {
  const def = defOf(schema);
  if (def.innerType !== undefined) return keysAt(def.innerType, path);
  if (def.options !== undefined) return [...new Set(def.options.flatMap((option) => keysAt(option, path)))];
  const [head, ...rest] = path;
  if (head === undefined) return def.shape === undefined ? [] : Object.keys(def.shape);
  const next = def.shape?.[String(head)] ?? def.element ?? def.valueType ?? def.items?.[Number(head)];
  return next === undefined ? [] : keysAt(next, rest);
}

/** The schemas that a value at a path may be of, outermost first. */
function schemasAt(schema: z.ZodType, path: Path): z.ZodType[] {
  const def = defOf(schema);
  const [head, ...rest] = path;
  const own = head === undefined ? [schema] : [];
  if (def.innerType !== undefined) return [...own, ...schemasAt(def.innerType, path)];
  if (def.options !== undefined) return [...own, ...def.options.flatMap((option) => schemasAt(option, path))];
  if (head === undefined) return own;
  const next = def.shape?.[String(head)] ?? def.element ?? def.valueType ?? def.items?.[Number(head)];
  return next === undefined ? [] : schemasAt(next, rest);
}

const formatOf = (kind: string): Format =>
  FORMATS[kind] ?? { message: 'is not written as it should be.', mend: kind };

/** What kind of text is wanted at a path, where it is more than any text. */
function formatAt(schema: z.ZodType, path: Path): Format | undefined {
  for (const one of schemasAt(schema, path))
    for (const [kind, hint] of Object.entries(HINTS))
      if (one.description?.endsWith(hint)) return FORMATS[kind];
  return undefined;
}

/** A number without its unit: what a person may have meant by it. */
function mendOfFormat({ mend }: Format, value: unknown): string {
  if (mend !== FORMATS.duration?.mend || !Number.isSafeInteger(value) || Number(value) <= 0) return mend;
  return `Write it with its unit: ${value}s, ${value}m, ${value}h or ${value}d.`;
}

const labelOf = (path: Path) => {
  const last = path.at(-1);
  if (last === undefined) return 'The file';
  return typeof last === 'number' ? `An entry of '${String(path.at(-2))}'` : `'${String(last)}'`;
};

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}

const shown = (value: unknown) => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return `'${text.length > 60 ? `${text.slice(0, 57)}...` : text}'`;
};
const quoted = (names: readonly unknown[]) => names.map((name) => `'${String(name)}'`).join(', ');

export function problemsOf(document: ConfigDocument, schema: z.ZodType, error: z.ZodError): Problem[] {
  return withoutMisspelt(document, error.issues, []).flatMap((issue) =>
    problemsOfIssue(document, schema, issue, []),
  );
}

/** A key that is missing because it is misspelt is one problem, not two. */
function withoutMisspelt(
  document: ConfigDocument,
  issues: readonly z.core.$ZodIssue[],
  above: Path,
): z.core.$ZodIssue[] {
  const unknown = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [issue.path.join('.'), key] as const) : [],
  );
  return issues.filter((issue) => {
    const missing = issue.path.at(-1);
    const path = [...above, ...issue.path.map(String)];
    if (issue.code === 'unrecognized_keys' || missing === undefined) return true;
    if (valueAt(document.value, path) !== undefined) return true;
    const block = issue.path.slice(0, -1).join('.');
    return !unknown.some(([path, key]) => path === block && nearest(key, [String(missing)]) !== null);
  });
}

function problemsOfIssue(
  document: ConfigDocument,
  schema: z.ZodType,
  issue: z.core.$ZodIssue,
  above: Path,
): Problem[] {
  const path = [...above, ...issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))];
  const value = valueAt(document.value, path);
  const last = path.at(-1);
  const label = labelOf(path);
  const at = (message: string, mend: string) => [document.problemAt(path, message, mend)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const known = keysAt(schema, path).filter((one) => one !== key);
        return document.problemAt([...path, key], `Unknown key '${key}'.`, mendOfUnknown(key, known), {
          key: true,
        });
      });
    case 'invalid_key':
      return issue.issues.slice(0, 1).flatMap((inner) => {
        const format = FORMATS[inner.message] ?? { message: 'is not a name.', mend: 'Correct it.' };
        return [document.problemAt(path, `'${String(last)}' ${format.message}`, format.mend, { key: true })];
      });
    case 'invalid_type': {
      const kind = KINDS[issue.expected] ?? `a ${issue.expected}`;
      const format = issue.expected === 'string' ? formatAt(schema, path) : undefined;
      if (value === undefined) {
        const parent = path.slice(0, -1);
        return [
          document.problemAt(
            parent,
            `The key '${String(last)}' is missing.`,
            format === undefined
              ? `Add '${String(last)}:' with ${kind}.`
              : `Add '${String(last)}:'. ${format.mend}`,
          ),
        ];
      }
      if (format !== undefined && value !== null)
        return at(`${label} is ${shown(value)}, which ${format.message}`, mendOfFormat(format, value));
      if (value === null) return at(`${label} has no value.`, `Write ${kind}, or remove the key.`);
      return at(
        `${label} is ${shown(value)}, which is not ${kind}.`,
        issue.expected === 'array' && typeof value === 'string' && value !== ''
          ? `Write a list: [${value}].`
          : `Write ${kind}.`,
      );
    }
    case 'invalid_value':
      if (value === undefined)
        return at(`The key '${String(last)}' is missing.`, `Choose one of ${quoted(issue.values)}.`);
      if (value === '' || value === null)
        return at(
          `${label} ${value === '' ? 'is empty' : 'has no value'}.`,
          mendOfUnknown('', issue.values.map(String)),
        );
      return at(`${shown(value)} is not known here.`, mendOfUnknown(String(value), issue.values.map(String)));
    case 'invalid_format': {
      if (value === '') return at(`${label} is empty.`, formatOf(issue.message).mend);
      const format = formatOf(issue.message);
      return at(`${shown(value)} ${format.message}`, format.mend);
    }
    case 'too_small':
    case 'too_big': {
      const small = issue.code === 'too_small';
      const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum;
      if (issue.origin === 'array')
        return at(`'${String(last)}' is an empty list.`, `Give at least ${String(limit)}.`);
      if (issue.origin === 'string') return at(`${label} is empty.`, 'Write a text.');
      return at(
        `${label} is ${shown(value)}, which is too ${small ? 'small' : 'large'}.`,
        `Choose ${small ? 'at least' : 'at most'} ${String(limit)}.`,
      );
    }
    case 'invalid_union':
      return problemsOfUnion(document, schema, issue, path, value);
    default:
      return at(`${shown(value)} is wrong: ${issue.message}.`, 'Correct it.');
  }
}

/** Of several forms, the one that was most likely meant is the one that fails deepest. */
function problemsOfUnion(
  document: ConfigDocument,
  schema: z.ZodType,
  issue: z.core.$ZodIssueInvalidUnion,
  path: Path,
  value: unknown,
): Problem[] {
  const score = (branch: readonly z.core.$ZodIssue[]) =>
    branch.some(
      (one) => one.path.length === 0 && (one.code === 'invalid_type' || one.code === 'invalid_value'),
    )
      ? 1000
      : branch.length +
        (branch.some((one) => one.code === 'unrecognized_keys' && one.path.length === 0) ? 100 : 0);
  const [best] = [...issue.errors].sort((a, b) => score(a) - score(b));
  if (best !== undefined && score(best) < 1000)
    return withoutMisspelt(document, best, path).flatMap((inner) =>
      problemsOfIssue(document, schema, inner, path),
    );
  const literals = issue.errors
    .flat()
    .flatMap((one) => (one.code === 'invalid_value' ? one.values.map(String) : []));
  const block = keysAt(schema, path).find((key) => key === value);
  if (block !== undefined)
    return [
      document.problemAt(
        path,
        `'${block}' needs a block that says how.`,
        `Write it as '${String(path.at(-1))}: {${block}: {...}}'; the reference lists its keys.`,
      ),
    ];
  const format = formatAt(schema, path);
  if (format !== undefined && value !== undefined && typeof value !== 'string')
    return [
      document.problemAt(
        path,
        `${labelOf(path)} is ${shown(value)}, which ${format.message}`,
        mendOfFormat(format, value),
      ),
    ];
  if (value === null || value === '')
    return [
      document.problemAt(
        path,
        `${labelOf(path)} ${value === '' ? 'is empty' : 'has no value'}.`,
        literals.length > 0
          ? mendOfUnknown('', [...literals, ...keysAt(schema, path)])
          : 'Write one, or remove the key.',
      ),
    ];
  if (typeof value !== 'object' && value !== undefined && literals.length > 0)
    return [
      document.problemAt(
        path,
        `${shown(value)} is not known here.`,
        mendOfUnknown(String(value), [...literals, ...keysAt(schema, path)]),
      ),
    ];
  if (value === undefined) {
    const key = String(path.at(-1));
    return [document.problemAt(path.slice(0, -1), `The key '${key}' is missing.`, `Add '${key}:'.`)];
  }
  const kinds = new Set(
    issue.errors
      .flat()
      .flatMap((one) => (one.code === 'invalid_type' ? [KINDS[one.expected] ?? one.expected] : [])),
  );
  return [
    document.problemAt(
      path,
      `${labelOf(path)} is ${shown(value)}, which cannot be read here.`,
      `Write ${[...kinds].join(' or ')}.`,
    ),
  ];
}
