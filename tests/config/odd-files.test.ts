import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadProject } from '../../config/load.ts';
import { EVENT_COLUMNS, PREDICTION_COLUMNS } from '../../infrastructure/clickhouse/tables.ts';
import { edited, FILES, load, problems } from './project.ts';

const P = 'project.yaml';
const V = 'views/customer.yaml';
const M = 'models/returns.yaml';

const said = (files: Readonly<Record<string, string>>) =>
  problems(files).map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}`);

describe('YAML that is no declaration', () => {
  it('an alias without its anchor is a problem with its place', () => {
    expect(said(edited(V, '[1h, 1d]', '*windows'))).toEqual([
      `${V}:5:70 The alias '*windows' repeats nothing.`,
    ]);
  });

  it.each([
    ['in a list', edited(V, 'entity: [customer]', 'entity: &all [customer, *all]')],
    ['in a block', { [P]: `&all\nretention: *all\n${FILES[P]}` }],
    ['among the connections', { 'connections.yaml': '&all\nreceivers: *all\n' }],
  ])('an alias inside of what it repeats is a problem, %s', (_, files) => {
    expect(said(files).join()).toContain("The alias '*all' stands inside the value that it repeats.");
  });

  it('aliases may repeat a value often, but not fill the memory', () => {
    const fields = Array.from({ length: 200 }, (_, i) => `      f${i}: *text\n`).join('');
    expect(said(edited(P, '      order_id: string\n', `      order_id: &text string\n${fields}`))).toEqual(
      [],
    );
    const lists = Array.from({ length: 9 }, (_, i) => `x${i + 1}: &x${i + 1} [${`*x${i},`.repeat(9)}]\n`);
    expect(said({ 'alerts.yaml': `x0: &x0 [0]\n${lists.join('')}` })).toEqual([
      'alerts.yaml:1:1 Its aliases repeat more than 10000 values.',
    ]);
  });

  it('a name that would get lost is refused', () => {
    const field = edited(P, 'order_id: string', '__proto__: string\n      order_id: string');
    expect(said(field)).toContain(`${P}:8:7 '__proto__' is not a name.`);
  });

  it('a second document, and lists without end, are told without the words of a parser', () => {
    expect(said({ [V]: `${FILES[V]}---\n${FILES[V]}` })).toContain(
      `${V}:7:1 The file holds a second document.`,
    );
    expect(said({ 'alerts.yaml': `rules: ${'['.repeat(50_000)}` }).join()).toContain(
      'This is nested too deep.',
    );
  });
});

describe('a file that cannot be read', () => {
  const saidOf = (make: (at: (file: string) => string) => void) => {
    const root = mkdtempSync(join(tmpdir(), 'millrace-odd-'));
    const at = (file: string) => {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      return join(root, file);
    };
    try {
      for (const [file, text] of Object.entries(FILES)) writeFileSync(at(file), text);
      make(at);
      loadProject(root, { environment: {} });
      return [];
    } catch (error) {
      if (error instanceof ConfigError) return error.problems.map(({ message }) => message);
      throw error;
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  };

  it.each<readonly [string, (at: (file: string) => string) => void, string]>([
    [
      'a directory',
      (at) => mkdirSync(at('views/more.yaml')),
      "'views/more.yaml' cannot be read: it is a directory.",
    ],
    [
      'alerts in a directory',
      (at) => mkdirSync(at('alerts.yaml')),
      "'alerts.yaml' cannot be read: it is a directory.",
    ],
    [
      'a link to nothing',
      (at) => symlinkSync('/nowhere/c.yaml', at('connections.yaml')),
      "'connections.yaml' cannot be read: it is a link to nothing.",
    ],
    [
      'a link to itself',
      (at) => symlinkSync('more.yaml', at('views/more.yaml')),
      "'views/more.yaml' cannot be read: it is a link to itself.",
    ],
    [
      'a file for a folder',
      (at) => writeFileSync(at('features'), ''),
      "'features' cannot be read: it is no directory.",
    ],
    [
      'UTF-16',
      (at) => writeFileSync(at('views/more.yaml'), Buffer.from('\ufeffview: more', 'utf16le')),
      "'views/more.yaml' cannot be read: its text is not UTF-8.",
    ],
    [
      'Latin-1',
      (at) => writeFileSync(at('views/more.yaml'), Buffer.from('view: m\u00fc', 'latin1')),
      "'views/more.yaml' cannot be read: its text is not UTF-8.",
    ],
    ['another case', (at) => writeFileSync(at('views/more.YAML'), ''), "'more.YAML' does not end in .yaml."],
    [
      'another case at the root',
      (at) => writeFileSync(at('ALERTS.YML'), ''),
      "A project has no file 'ALERTS.YML'.",
    ],
  ])('is a problem, and not as if it were not there: %s', (_, make, sentence) => {
    expect(saidOf(make)).toEqual([sentence]);
  });

  it('the lock of an editor is not one', () => {
    expect(saidOf((at) => symlinkSync('me@host.1', at('views/.#customer.yaml')))).toEqual([]);
  });
});

describe('a field named constructor', () => {
  it('has its own name as its path', () => {
    const project = load({
      ...FILES,
      ...edited(
        P,
        '    fields:\n',
        '    format: { json: { id: id, type: type, time: { path: at, unit: iso } } }\n    fields:\n      constructor: string\n',
      ),
    });
    expect(project.sources[0]?.format).toMatchObject({ mapping: { fields: { constructor: 'constructor' } } });
  });
});

describe('a name that a table has already', () => {
  it.each(EVENT_COLUMNS.map(({ name }) => name))('is no name of a field: %s', (name) => {
    expect(said(edited(P, 'zone: string', `zone: string\n      ${name}: string`)).join()).toMatch(
      /has a column '.*' of its own|Every event has '.*' already/,
    );
  });

  it.each(PREDICTION_COLUMNS.map(({ name }) => name))('is no name of a feature: %s', (name) => {
    expect(said(edited(M, 'per_item:', `${name}:`))).toContain(
      `${M}:8:5 The table of predictions has a column '${name}' of its own.`,
    );
  });
});

describe('what Kafka would not take, or not keep', () => {
  it('names that make the name of a topic too long', () => {
    expect(said(edited(P, 'name: shop', `name: ${'s'.repeat(240)}`)).join()).toMatch(
      /would have a name of \d+ characters; Kafka takes 249\.$/,
    );
    expect(said(edited(P, 'name: shop', `name: ${'s'.repeat(200)}`))).toEqual([]);
  });

  it('a topic that is kept for no time', () => {
    expect(said({ [P]: `${FILES[P]}retention: {raw: 0s, view_extra: 0s}\n` })).toEqual([
      `${P}:20:18 What is kept for no time is deleted before it is read.`,
    ]);
  });
});

describe('a reference that is none', () => {
  it.each([`\${KAFKA}`, `\${ENV:KAFKA}`, `\${env:KAFKA`, `\${env:A:-\${env:B:-b:2}}`])(
    'is a problem: %s',
    (text) => {
      expect(said({ 'connections.yaml': `kafka:\n  brokers: "${text}"\n` })).toEqual([
        `connections.yaml:2:13 The 'brokers' holds a '\${' that begins no reference.`,
      ]);
    },
  );
});
