import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Writes records/*.ts from avro/*.avsc: the only hand-written form of a record is its Avro schema. */

type AvroType = string | readonly AvroType[] | NamedType;

interface NamedType {
  readonly type: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly doc?: string;
  readonly items?: AvroType;
  readonly values?: AvroType;
  readonly symbols?: readonly string[];
  readonly fields?: ReadonlyArray<{ readonly name: string; readonly doc?: string; readonly type: AvroType }>;
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'Uint8Array',
};

const here = import.meta.dirname;
export const RECORDS = join(here, 'records');

/** ModelState -> MODEL_STATES. */
function listName(name: string): string {
  const upper = name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase();
  return upper.endsWith('S') ? `${upper}ES` : `${upper}S`;
}

function docstring(doc: string | undefined, indent: string): string {
  return doc === undefined ? '' : `${indent}/** ${doc.replaceAll('*/', '* /')} */\n`;
}

/** Declarations in the order in which the schemas name them, outer before inner. */
class Declarations {
  readonly #texts: string[] = [];
  readonly #names: Set<string>;

  /** @param names that are taken; those of the new declarations are added. */
  constructor(names: Set<string>) {
    this.#names = names;
  }

  /** TypeScript name of the type; declares what it names on the way. */
  reference(type: AvroType): string {
    if (typeof type === 'string') return PRIMITIVES[type] ?? type.slice(type.lastIndexOf('.') + 1);
    if (!('type' in type)) {
      const branches = type.map((branch) => this.reference(branch));
      return [
        ...branches.filter((name) => name !== 'null'),
        ...branches.filter((name) => name === 'null'),
      ].join(' | ');
    }
    if (type.type === 'array') return `ReadonlyArray<${this.reference(type.items ?? 'null')}>`;
    if (type.type === 'map') return `Readonly<Record<string, ${this.reference(type.values ?? 'null')}>>`;
    if (type.type === 'fixed') return 'Uint8Array';
    if (type.type === 'enum') return this.#enumeration(type);
    if (type.type === 'record') return this.#record(type);
    return this.reference(type.type);
  }

  #declare(type: NamedType): string {
    const name = type.name ?? '';
    if (name === '' || this.#names.has(name))
      throw new Error(`the Avro name '${name}' is missing or used twice`);
    this.#names.add(name);
    return name;
  }

  #enumeration(type: NamedType): string {
    const name = this.#declare(type);
    const list = listName(name);
    const symbols = (type.symbols ?? []).map((symbol) => `'${symbol}'`).join(', ');
    this.#texts.push(
      `${docstring(type.doc, '')}export const ${list} = [${symbols}] as const;\nexport type ${name} = (typeof ${list})[number];\n`,
    );
    return name;
  }

  #record(type: NamedType): string {
    const name = this.#declare(type);
    const place = this.#texts.push('') - 1;
    const fields = (type.fields ?? []).map(
      (field) => `${docstring(field.doc, '  ')}  readonly ${field.name}: ${this.reference(field.type)};\n`,
    );
    this.#texts[place] = `${docstring(type.doc, '')}export interface ${name} {\n${fields.join('')}}\n`;
    return name;
  }

  text(): string {
    return this.#texts.join('\n');
  }
}

/** The text of each file of records/, formatted, by its name. */
export function generateRecords(): Record<string, string> {
  const names = new Set<string>();
  const files = readdirSync(join(here, 'avro')).filter((file) => file.endsWith('.avsc'));
  return Object.fromEntries(
    files.sort().map((file) => [file.replace('.avsc', '.ts'), format(recordText(file, names))]),
  );
}

function recordText(file: string, names: Set<string>): string {
  const schema = JSON.parse(readFileSync(join(here, 'avro', file), 'utf8')) as NamedType;
  const declarations = new Declarations(names);
  const name = declarations.reference(schema);
  const constant = `${name[0]?.toLowerCase()}${name.slice(1)}Schema`;
  return [
    `// Generated from avro/${file} by \`npm run generate\`. Do not edit.\n`,
    "import type { Schema } from 'avsc';\n\n",
    declarations.text(),
    `\nexport const ${constant}: Schema = ${JSON.stringify(schema)};\n`,
  ].join('');
}

function format(text: string): string {
  const biome = createRequire(import.meta.url).resolve('@biomejs/biome/package.json');
  return execFileSync(
    process.execPath,
    [join(dirname(biome), 'bin', 'biome'), 'format', '--stdin-file-path=schemas/records/record.ts'],
    { input: text, encoding: 'utf8', cwd: dirname(here) },
  );
}

if (import.meta.main) {
  rmSync(RECORDS, { recursive: true, force: true });
  mkdirSync(RECORDS);
  for (const [file, text] of Object.entries(generateRecords())) writeFileSync(join(RECORDS, file), text);
}
