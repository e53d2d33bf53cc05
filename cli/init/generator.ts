import { readFileSync } from 'node:fs';
import type { Proposal, ProposedField } from './propose.ts';

/** How the generator makes a field, as it stands in the project for a person to change. */
type Recipe =
  | { readonly path: string; readonly pool: readonly string[] }
  | { readonly path: string; readonly like: string; readonly size: number }
  | {
      readonly path: string;
      readonly mean: number;
      readonly deviation: number;
      readonly decimals: number;
      readonly least: number | null;
    }
  | { readonly path: string; readonly share: number }
  | { readonly path: string; readonly time: 'iso' | 'ms' };

const KEYS = 200;
const MOST_POOL = 20;

/** Names and personal texts of a real topic do not belong into a repository: only short lists of categories are copied. */
function recipeOf(field: ProposedField, isKey: boolean): Recipe {
  const { path, samples, type, name } = field;
  const texts = samples.map(String);
  // A few samples that are all alike do not say that it is always so.
  if (type === 'bool')
    return { path, share: (texts.filter((text) => text === 'true').length + 1) / (texts.length + 2) };
  if (type === 'timestamp') return { path, time: typeof samples[0] === 'string' ? 'iso' : 'ms' };
  if (type === 'string') {
    const distinct = [...new Set(texts)];
    if (!isKey && field.category && distinct.length > 1 && distinct.length <= MOST_POOL)
      return { path, pool: distinct };
    return { path, like: likeness(name, texts), size: isKey ? KEYS : MOST_POOL };
  }
  if (isKey) return { path, mean: KEYS / 2, deviation: KEYS / 6, decimals: 0, least: 1 };
  const numbers = samples.map(Number);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  const decimals =
    type === 'int' ? 0 : Math.min(3, Math.max(1, ...texts.map((t) => t.split('.')[1]?.length ?? 0)));
  const round = (value: number) => Number(value.toPrecision(3));
  return {
    path,
    mean: round(mean),
    deviation: round(Math.sqrt(variance) || Math.abs(mean) / 5 || 1),
    decimals,
    least: field.measure !== null && field.measure.range[0] < 0 ? null : 0,
  };
}

/** `#` stands for a digit. A sample without digits, or with anybody's address, is replaced by the field's name. */
function likeness(name: string, texts: readonly string[]): string {
  const shapes = new Set(texts.map((text) => text.replace(/\d/g, '#')));
  const [shape = ''] = shapes;
  return shapes.size === 1 && /^[A-Za-z]{0,12}[_:-]?#{2,12}$/.test(shape) ? shape : `${name}_###`;
}

const template = (name: string) => readFileSync(new URL(`./template/${name}`, import.meta.url), 'utf8');

/** Replaces a template's settings, which stand between two lines of their own. */
function settled(text: string, settings: readonly string[]): string {
  const [before = '', rest = ''] = text.split('// settings: from the sample\n');
  const after = rest.split('// settings end\n')[1] ?? '';
  return `${before}${settings.join('\n')}\n${after}`;
}

const setting = (name: string, value: unknown) => `const ${name} = ${JSON.stringify(value)};`;

/** The text of `generate.mjs`. */
export function generatorText(proposal: Proposal): string {
  const { source, id, time, type, types, key, fields, predict } = proposal;
  const measure = fields.find((field) => field.measure !== null && field.name !== key)?.name ?? null;
  return settled(template('generate.mjs'), [
    setting('SOURCE', source),
    setting('ID', { path: id.path, type: id.type }),
    setting('TIME', time),
    setting('TYPE', type),
    setting('TYPES', types),
    '/** Whose events they are: each of them has habits of its own. */',
    setting('KEY', key),
    '/** The number that tells most about what is predicted. */',
    setting('MEASURE', measure),
    '/** pool: one of these; like: # is a digit; share: how often true; mean and deviation: a number. */',
    'const FIELDS = {',
    ...fields.map((field) => `  ${field.name}: ${JSON.stringify(recipeOf(field, field.name === key))},`),
    '};',
    setting(
      'OUTCOME',
      predict === null ? null : { name: predict.name, source: predict.source, reference: predict.reference },
    ),
  ]);
}

/** The text of the project's first test. */
export function testText({ source, types }: Proposal): string {
  return settled(template('project.test.mjs'), [setting('SOURCE', source), setting('TYPE', types[0])]);
}
