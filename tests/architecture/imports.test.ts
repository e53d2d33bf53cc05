import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf, packagesOf, read, root, sourceFiles, withoutComments } from './sources.ts';

const BASE = ['schemas', 'config', 'processors', 'models', 'infrastructure'];
const ROOMS = [...BASE, 'streams', 'monitoring', 'pipelines', 'platform'];

/** What each directory may import of ours, beside itself. There is no list of exceptions, and none is wanted. */
const ORDER: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  config: ['schemas'],
  processors: ['schemas'],
  models: ['schemas'],
  infrastructure: ['schemas', 'config', 'processors', 'models'],
  streams: BASE,
  monitoring: [...BASE, 'streams'],
  pipelines: [...BASE, 'streams', 'monitoring'],
  platform: [...BASE, 'streams', 'monitoring', 'pipelines'],
  client: ['schemas', 'config', 'processors', 'infrastructure'],
  api: [...ROOMS, 'client'],
  console: [...ROOMS, 'client', 'api'],
  cli: [...ROOMS, 'client', 'api', 'console'],
};

const PURE = ['processors', 'models'];

/** Modules that reach the outside of the process, its time or its chance. */
const IMPURE_MODULES =
  /^(?:node:)?(?:async_hooks|child_process|cluster|dgram|diagnostics_channel|dns|fs|http|http2|https|inspector|net|os|perf_hooks|process|readline|repl|sqlite|stream|timers|tls|tty|v8|vm|wasi|worker_threads|zlib)(?:\/|$)/;

const IMPURE_NAMES =
  /\b(?:Date\.now|Math\.random|performance\.now|randomUUID|randomBytes|getRandomValues|setTimeout|setInterval|setImmediate|fetch)\s*\(|\bnew Date\(\s*\)|\bprocess\s*[.[]/;

function forbidden(file: string): string[] {
  const [home = ''] = file.split('/');
  const allowed = ORDER[home] ?? [];
  return importsOf(file)
    .filter(
      ({ own, target }) =>
        own && !allowed.includes(target.split('/')[0] ?? '') && !target.startsWith(`${home}/`),
    )
    .map(({ target }) => `${file} imports ${target}`);
}

/** Ways that lead back to where they began, if there are any. */
function circles(importsOfFile: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) found.push([...way.slice(way.indexOf(file)), file].join(' -> '));
    else if (!done.has(file))
      for (const target of importsOfFile.get(file) ?? []) walk(target, [...way, file]);
    done.add(file);
  };
  for (const file of importsOfFile.keys()) walk(file, []);
  return found;
}

describe('the order of imports', () => {
  for (const directory of Object.keys(ORDER))
    it(`${directory} imports only ${ORDER[directory]?.join(', ') || 'nothing'} of ours`, () => {
      expect(sourceFiles(directory).flatMap(forbidden)).toEqual([]);
    });

  it('every directory that holds code has its place in the order', () => {
    const tracked = execFileSync('git', ['ls-files', '*.ts'], { cwd: root, encoding: 'utf8' }).split('\n');
    const homes = new Set(
      tracked.filter((file) => file.includes('/')).map((file) => file.split('/')[0] ?? ''),
    );
    expect([...homes].filter((home) => !(home in ORDER) && home !== 'tests' && home !== 'docs')).toEqual([]);
  });

  it('finds an import however it is written', () => {
    const code = `
      import a from '../streams/a.ts';
      import '../streams/b.ts';
      export * from "../streams/c.ts";
      const d = await import('../streams/d.ts');
      // import e from '../streams/e.ts';
      const url = 'http://x'; import type { F } from '../streams/f.ts';`;
    expect(importsOf('schemas/x.ts', code).map(({ target }) => target)).toEqual(
      ['a', 'b', 'c', 'd', 'f'].map((name) => `streams/${name}.ts`),
    );
  });
});

describe('no file imports itself on a way round', () => {
  it('in any directory, types and tests included', () => {
    const files = [...Object.keys(ORDER), 'docs', 'tests'].flatMap(sourceFiles);
    const targets = (file: string) => importsOf(file).flatMap(({ own, target }) => (own ? [target] : []));
    expect(circles(new Map(files.map((file) => [file, targets(file)])))).toEqual([]);
  });

  it('nor does a folder of the data plane: what two streams need of each other lies below both', () => {
    const folder = (file: string) => file.split('/').slice(0, 2).join('/');
    const targets = new Map<string, string[]>();
    for (const file of sourceFiles('streams'))
      for (const { own, target } of importsOf(file))
        if (own && target.startsWith('streams/') && folder(target) !== folder(file))
          targets.set(folder(file), [...(targets.get(folder(file)) ?? []), folder(target)]);
    expect(circles(targets)).toEqual([]);
  });

  it('would be found', () => {
    const imports = { a: ['b', 'c'], b: ['d'], c: ['d'], d: ['e'], e: ['b'] };
    expect(circles(new Map(Object.entries(imports)))).toEqual(['b -> d -> e -> b']);
  });
});

describe('processors and models are pure', () => {
  const files = PURE.flatMap(sourceFiles);

  it('import nothing that reaches outside the process', () => {
    const outside = files.flatMap((file) =>
      importsOf(file)
        .filter(({ own, target }) => !own && IMPURE_MODULES.test(target))
        .map(({ target }) => `${file} imports ${target}`),
    );
    expect(outside).toEqual([]);
  });

  it('know no clock, no chance, no environment', () => {
    const impure = files.flatMap((file) => {
      const found = IMPURE_NAMES.exec(withoutComments(read(file)));
      return found ? [`${file}: ${found[0]}`] : [];
    });
    expect(impure).toEqual([]);
  });

  it('leave TensorFlow.js to the trainer', () => {
    const users = files.filter((file) =>
      importsOf(file).some(({ target }) => target.startsWith('@tensorflow/')),
    );
    expect(users.filter((file) => !file.startsWith('models/') || !/train|tfjs|backend/.test(file))).toEqual(
      [],
    );
  });
});

describe('the tree belongs to no machine', () => {
  const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file !== '' && existsSync(join(root, file)))
    .map((file) => ({ file, bytes: readFileSync(join(root, file)) }));
  const texts = tracked.filter(({ bytes }) => !bytes.subarray(0, 8_000).includes(0));

  /** Written in pieces, so that this file does not find itself. */
  const places = [
    new RegExp(`(?:^|[\\s'"\`(=:])/(?:${['work', 'root', 'Users'].join('|')})/`, 'm'),
    /(?:^|[\s'"`(=:])\/home\/(?!node\b)\w/m,
    new RegExp(['registry', 'npmjs', 'org'].join('\\.')),
    new RegExp(['files', 'pythonhosted', 'org'].join('\\.')),
    new RegExp(`repo1?\\.maven\\.${'apache\\.'}?org`),
    /"resolved": "https?:/,
    /^\s*registry\s*=\s*https?:/m,
  ];
  const literals = [homedir(), root, process.env.npm_config_registry ?? ''].filter((text) => text.length > 5);
  if (hostname().length >= 8) literals.push(hostname());

  it('no file holds a path of a machine or the host of a registry', () => {
    const found = texts.flatMap(({ file, bytes }) => {
      const text = bytes.toString('utf8');
      const place = places.map((pattern) => pattern.exec(text)?.[0]).find(Boolean);
      const literal = literals.find((name) => text.includes(name));
      return place || literal ? [`${file}: ${(place ?? literal)?.trim()}`] : [];
    });
    expect(found).toEqual([]);
  });

  it('no file is larger than 1 MB', () => {
    expect(tracked.filter(({ bytes }) => bytes.length > 1_000_000).map(({ file }) => file)).toEqual([]);
  });
});

describe('what is heavy is loaded only where it is used', () => {
  it('the client library needs Kafka and the registry', () => {
    expect(packagesOf('client/index.ts')).toEqual([
      '@marcbachmann/cel-js',
      'avsc',
      'kafkajs',
      're2js',
      'yaml',
      'zod',
    ]);
  });

  it('no command brings chdb, TensorFlow.js or BullMQ before it needs them', () => {
    const heavy = /^(chdb|@tensorflow\/.*|bullmq|onnx.*)$/;
    for (const file of sourceFiles('cli'))
      expect([file, packagesOf(file).filter((name) => heavy.test(name))]).toEqual([file, []]);
  });

  it('--help loads commander alone', () => {
    expect(packagesOf('cli/program.ts')).toEqual(['commander']);
    expect(packagesOf('cli/millrace.ts')).toEqual([]);
  });
});
