import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { z } from 'zod';
import { clientText } from '../../cli/generate/typescript.ts';
import { FILES } from '../../config/declarations.ts';
import { fixSchema } from '../../config/fix.ts';
import { loadProject } from '../../config/load.ts';
import { type Connection, type Engine, openEngine } from '../../infrastructure/local/clickhouse-engine.ts';
import { root } from '../architecture/sources.ts';
import { type Block, blocksOf, documents } from './documents.ts';

const blocks = documents().flatMap(blocksOf);
const inLanguage = (...languages: readonly string[]) =>
  blocks.filter(({ language }) => languages.includes(language));
const named = ({ document, line }: Block) => `${document}:${line}`;

/** What every kind of file may hold: those of a project, and a fix of dead letters. */
const SCHEMAS = [...Object.values(FILES).map(({ schema }) => schema), fixSchema];

/** What `check` would say against a piece of a file: its keys are all known, and each of their values is right. */
function complaintOf(text: string): string | undefined {
  const value: unknown = parse(text);
  // Lines of a list are features of a view.
  const file = Array.isArray(value) ? { features: value } : value;
  if (typeof file !== 'object' || file === null) return 'is no declaration';
  const keys = Object.keys(file);
  const kinds = SCHEMAS.filter(({ shape }) => keys.every((key) => key in shape));
  if (kinds.length === 0) return `no kind of file has the keys ${keys.join(', ')}`;
  const complaints = kinds.map((schema) => {
    const shape = schema.shape as Record<string, z.ZodType>;
    return Object.entries(file).flatMap(([key, part]) => {
      const { error } = shape[key]?.safeParse(part) ?? {};
      return error ? [`${key}: ${error.message}`] : [];
    });
  });
  return complaints.some((of) => of.length === 0) ? undefined : complaints[0]?.join('; ');
}

describe('YAML in the documents', () => {
  // What Docker Compose reads is no declaration of a project.
  const all = inLanguage('yaml').filter(({ text }) => !/^services:/m.test(text));

  it('is right by the schema that `check` uses', () => {
    expect(all.length).toBeGreaterThan(15);
    const wrong = all.flatMap((block) => {
      const complaint = complaintOf(block.text);
      return complaint === undefined ? [] : [`${named(block)} ${complaint}`];
    });
    expect(wrong).toEqual([]);
  });

  it('that is wrong is found', () => {
    expect(complaintOf('sauce: x\n')).toContain('sauce');
    expect(complaintOf('monitoring: { every: often }\n')).toContain('every');
    expect(complaintOf('- { name: a, agregation: count, windows: [1h] }\n')).toContain('agregation');
  });
});

describe('JSON in the documents', () => {
  it('is JSON, or lines of it', () => {
    const wrong = inLanguage('json').filter(({ text }) => {
      try {
        JSON.parse(text);
        return false;
      } catch {
        return text
          .trim()
          .split('\n')
          .some((line) => {
            try {
              JSON.parse(line);
              return false;
            } catch {
              return true;
            }
          });
      }
    });
    expect(wrong.map(named)).toEqual([]);
  });
});

describe('TypeScript in the documents', () => {
  // Inside the clone, so that packages and their types are found.
  const directory = join(root, 'data', `documents-${process.pid}`);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('compiles, as strictly as our own', () => {
    const all = inLanguage('ts');
    expect(all.length).toBeGreaterThan(2);
    mkdirSync(directory, { recursive: true });
    // What `millrace generate client` writes of the example that the page speaks of.
    const payments = loadProject(join(root, 'docs/examples/payments'), { environment: {} });
    writeFileSync(join(directory, 'millrace.ts'), clientText(payments));
    for (const [at, { text }] of all.entries()) {
      // A program that names its own place imports from there.
      const [, room] = /^\/\/ (\w+)\/[\w-]+\.ts\n/.exec(text) ?? [];
      const whole = room === undefined ? text : text.replaceAll("from './", `from '../../${room}/`);
      writeFileSync(join(directory, `block-${at}.ts`), `${whole}\nexport {};\n`);
    }
    const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
    const paths = { millrace: ['../../client/index.ts'], 'millrace/client': ['../../client/index.ts'] };
    // A handler shows what it is given, whether it needs it or not.
    const options = { ...compilerOptions, noUnusedParameters: false, paths };
    const config = { compilerOptions: options, include: ['*.ts'] };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
    let out = '';
    try {
      execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory]);
    } catch (error) {
      out = String((error as { stdout?: Buffer }).stdout);
    }
    expect(out).toBe('');
  });
});

describe('Python in the documents', () => {
  it('is Python', () => {
    const all = inLanguage('python');
    expect(all.length).toBeGreaterThan(0);
    for (const block of all)
      expect(() =>
        execFileSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], {
          input: block.text,
          stdio: ['pipe', 'pipe', 'pipe'],
        }),
      ).not.toThrow();
  });
});

describe('SQL in the documents', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-documents-'));
  let engine: Engine;
  let connection: Connection;
  beforeAll(async () => {
    engine = await openEngine(directory);
    connection = engine.connect();
  });
  afterAll(() => {
    connection.close();
    engine.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Parses it, whether its tables are there or not. */
  const formatted = (sql: string) =>
    connection.query(`SELECT formatQuery('${sql.replace(/[\\']/g, '\\$&')}')`, 'TabSeparated');

  it('is what ClickHouse reads', async () => {
    const all = inLanguage('sql');
    expect(all.length).toBeGreaterThan(3);
    for (const block of all)
      for (const statement of block.text.split(/;\s*(?:\n|$)/).filter((text) => text.trim() !== ''))
        await expect(formatted(statement), named(block)).resolves.toBeDefined();
    await expect(formatted('SELECT FROM WHERE')).rejects.toThrow('Syntax error');
  });
});

describe('requests by curl in the documents', () => {
  const { paths } = JSON.parse(readFileSync(join(root, 'docs/api/openapi.json'), 'utf8')) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const patterns = Object.entries(paths).map(
    ([path, methods]) => [new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`), methods] as const,
  );

  it('name routes that there are, with their methods', () => {
    const calls = inLanguage('sh', '').flatMap((block) =>
      block.text
        .replace(/\\\n\s*/g, ' ')
        .split('\n')
        .filter((line) => /^curl .*localhost:8420/.test(line))
        .map((line) => ({ block, line })),
    );
    expect(calls.length).toBeGreaterThan(8);
    const wrong = calls.filter(({ line }) => {
      const path = /localhost:8420([^\s'"?#]*)/.exec(line)?.[1] ?? '';
      const method = / (?:-d|--data\S*) /.test(line) ? 'post' : 'get';
      return !patterns.some(([pattern, methods]) => pattern.test(path) && method in methods);
    });
    expect(wrong.map(({ block, line }) => `${named(block)} ${line}`)).toEqual([]);
  });
});
