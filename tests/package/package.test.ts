import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../infrastructure/local/ports.ts';
import { root } from '../architecture/sources.ts';
import { testStack } from '../stack.ts';
import { layOut, readImage } from './image.ts';

/**
 * The package as somebody else gets it: packed, installed into an empty project beside nothing of ours, on the
 * oldest Node that it promises. Needs the npm registry alone.
 */
const home = mkdtempSync(join(tmpdir(), 'millrace-package-'));
const consumer = join(home, 'consumer');
const project = join(home, 'project');
/** The tools that judge the package, and the oldest Node. */
const TOOLS = ['node@22', 'typescript@7', 'publint@0.3', '@arethetypeswrong/cli@0.18'];
const MINUTES = 60_000;

interface Ended {
  readonly code: number;
  readonly out: string;
}

function run(command: string, parameters: readonly string[], cwd = consumer): Promise<Ended> {
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, MILLRACE_DATA: join(home, 'data') };
  return new Promise((done) => {
    execFile(command, [...parameters], { cwd, env, maxBuffer: 1e7 }, (error, out, err) =>
      done({
        code: error === null ? 0 : Number(error.code ?? 1),
        out: out + err,
      }),
    );
  });
}

async function must(command: string, parameters: readonly string[], cwd = consumer): Promise<string> {
  const { code, out } = await run(command, parameters, cwd);
  if (code !== 0) throw new Error(`${command} ${parameters.join(' ')} ended with ${code}:\n${out}`);
  return out;
}

const bin = (name: string) => join(consumer, 'node_modules', '.bin', name);
const program = join(consumer, 'node_modules/millrace/dist/cli/millrace.js');
/** The Node that runs this test, and the oldest that the package promises. */
const NODES: ReadonlyArray<readonly [string, () => string]> = [
  ['this Node', () => process.execPath],
  ['Node 22', () => bin('node')],
];

/** Prints the processor's time of the whole process, ms: the clock on the wall counts what other tests do as well. */
const CPU = `data:text/javascript,process.on('exit',()=>{const{user,system}=process.cpuUsage();console.error('cpu '+Math.round((user+system)/1000))})`;

/** Loads what each command runs, and prints the first line of its help. */
const LOAD_ALL = `
const { createProgram } = await import('./node_modules/millrace/dist/cli/program.js');
const program = await createProgram(() => async () => {}, undefined, true);
for (const command of program.commands) console.log(command.helpInformation().split('\\n')[0]);
process.exit();
`;

let tarball = '';

beforeAll(async () => {
  mkdirSync(consumer);
  writeFileSync(
    join(consumer, 'package.json'),
    '{ "name": "consumer", "private": true, "type": "module" }\n',
  );
  await must('npm', ['pack', '--pack-destination', home], root);
  tarball = join(home, readdirSync(home).find((name) => name.endsWith('.tgz')) ?? '');
  await must('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', tarball, ...TOOLS]);
  mkdirSync(join(project, 'sources'), { recursive: true });
  writeFileSync(join(project, 'project.yaml'), 'name: small\n');
  writeFileSync(
    join(project, 'sources/clicks.yaml'),
    'source: clicks\nkey: user\nout_of_orderness: 5s\nfields: { user: string }\nevents: { click: { required: [user] } }\n',
  );
}, 8 * MINUTES);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('the installed package', () => {
  it('is compiled, and brings neither tests nor the half gigabyte of ClickHouse', () => {
    const files = readdirSync(join(consumer, 'node_modules/millrace'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => /(?<!\.d)\.ts$/.test(name))).toEqual([]);
    expect(files.filter((name) => /(^|\/)tests\//.test(name))).toEqual([]);
    expect(existsSync(join(consumer, 'node_modules/chdb'))).toBe(false);
    // What the code reads at run time.
    for (const name of ['redis/commit.lua', 'queue/set-document.lua', 'clickhouse/sql/drift-summary.sql'])
      expect(files).toContain(join('dist/infrastructure', name));
    expect(files).toContain('dist/docker-compose.yml');
    expect(files).toContain('dist/config/project.yaml');
  });

  for (const [name, node] of NODES) {
    it(`answers --help within 300 ms on ${name}`, async () => {
      const all: number[] = [];
      for (let k = 0; k < 5; k += 1) {
        const { code, out } = await run(node(), ['--import', CPU, program, '--help']);
        expect(code).toBe(0);
        expect(out).toContain('Usage: millrace');
        all.push(Number(/cpu (\d+)/.exec(out)?.[1]));
      }
      expect(Math.min(...all)).toBeLessThan(300);
    });

    it(`checks a project on ${name}, whichever directory it is called from`, async () => {
      for (const cwd of [consumer, project, home]) {
        const { code, out } = await run(node(), [program, 'check', '--project', project], cwd);
        expect(out).toContain('small is right');
        expect(code).toBe(0);
      }
    });

    it(`loads every command on ${name}`, async () => {
      const { code, out } = await run(node(), ['--input-type=module', '-e', LOAD_ALL]);
      expect(code, out).toBe(0);
      const usages = out.trim().split('\n');
      expect(usages.length).toBeGreaterThan(20);
      for (const usage of usages) expect(usage).toMatch(/^Usage: millrace [a-z-]+ /);
    });
  }

  it('says `npx millrace`', async () => {
    expect(await must('npx', ['millrace', '--help'])).toContain('Usage: millrace');
  });

  it('asks for the engine of the local ClickHouse by its name', async () => {
    const { code, out } = await run(process.execPath, [
      '--input-type=module',
      '-e',
      "const { clickhouse } = await import('./node_modules/millrace/dist/infrastructure/local/clickhouse.js'); await clickhouse.install().catch((error) => console.log(error.message))",
    ]);
    expect(code).toBe(0);
    expect(out).toContain('npm install chdb@');
  });

  it('is typed: a strict project that checks libraries too finds nothing', async () => {
    writeFileSync(
      join(consumer, 'main.ts'),
      `import { createProducer, loadProject, subscribe, type Prediction } from 'millrace';
import { MillraceError } from 'millrace/client';

export async function main(): Promise<void> {
  const project = loadProject('.', { environment: {} });
  const producer = await createProducer(project);
  await producer.send('clicks', [{ id: '1', type: 'click', time: 0, user: 'a' }]);
  // @ts-expect-error a time is a number
  await producer.send('clicks', [{ id: '1', type: 'click', time: 'now' }]);
  const subscription = await subscribe({ project, model: 'm' }, (predictions: readonly Prediction[]) => {
    for (const { score } of predictions) {
      const known: number | null = score;
      // @ts-expect-error a score may be null
      const certain: number = score;
      if (known === certain) throw new TypeError();
    }
  });
  await subscription.done.catch((error: unknown) => {
    if (error instanceof MillraceError && error.retriable) return;
    throw error;
  });
}
`,
    );
    writeFileSync(
      join(consumer, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
          module: 'nodenext',
          target: 'es2022',
          types: [],
        },
        files: ['main.ts'],
      }),
    );
    const { code, out } = await run(bin('tsc'), ['-p', '.']);
    expect(out).toBe('');
    expect(code).toBe(0);
  });

  it('generates a client that a strict project takes', async () => {
    const src = join(consumer, 'src');
    await must('npx', ['millrace', 'generate', 'client', '--project', project, '--out', src]);
    writeFileSync(
      join(src, 'use.ts'),
      `import { overHttp, overKafka } from './millrace.js';
export const http = overHttp({ url: 'http://127.0.0.1:8420' });
export const kafka = overKafka({ brokers: ['127.0.0.1:9092'], registry: { url: 'http://127.0.0.1:8081' } });
export const sent = kafka.send('clicks', { id: '1', type: 'click', time: 0, user: 'a' });
// @ts-expect-error there is no such source
export const lost = http.send('click', { id: '1', type: 'click', time: 0, user: 'a' });
`,
    );
    const options = ['--strict', '--exactOptionalPropertyTypes', '--noEmit', '--module', 'nodenext'];
    const { code, out } = await run(bin('tsc'), [
      ...options,
      '--target',
      'es2022',
      '--ignoreConfig',
      join(src, 'use.ts'),
    ]);
    expect([code, out]).toEqual([0, '']);
  });

  it('satisfies publint', async () => {
    const { code, out } = await run(bin('publint'), ['run', tarball, '--strict']);
    expect(out).toContain('All good');
    expect(code).toBe(0);
  });

  it('satisfies "are the types wrong"', async () => {
    const { code, out } = await run(bin('attw'), [tarball, '--profile', 'esm-only', '--format', 'ascii']);
    expect(out).toMatch(/"millrace"\s+node16 \(from ESM\): 🟢/);
    expect(out).toMatch(/"millrace\/client"\s+node16 \(from ESM\): 🟢/);
    expect(code).toBe(0);
  });
});

describe('the layout of the image, in a bare directory', () => {
  const image = readImage();
  const app = join(home, 'app');
  const data = join(home, 'image-data');
  const payments = join(home, 'payments');
  const inside = (words: readonly string[], port: number) =>
    words.map((word) => word.replace('/app', app).replaceAll('9400', String(port)));
  const ids = process.getuid?.() === 0 ? image.user : undefined;

  /** Runs what a container would: nothing of this process's environment, and the image's user where we may choose. */
  function container(words: readonly string[], variables: Readonly<Record<string, string>> = {}) {
    const [command = '', ...parameters] = words;
    return spawn(command === 'node' ? process.execPath : command, parameters, {
      cwd: payments,
      env: { ...image.environment, MILLRACE_DATA: data, ...variables },
      ...ids,
    });
  }

  function ended(child: ReturnType<typeof container>): Promise<Ended> {
    let out = '';
    child.stdout?.on('data', (text) => (out += text));
    child.stderr?.on('data', (text) => (out += text));
    return new Promise((done) =>
      child.on('close', (code, signal) => done({ code: code ?? (signal ? 1 : 0), out })),
    );
  }

  beforeAll(async () => {
    mkdirSync(app);
    mkdirSync(data);
    layOut(image, app);
    cpSync(join(root, 'docs/examples/payments'), payments, { recursive: true });
    const [command = '', ...parameters] = image.install;
    await must(command, [...parameters, '--no-audit', '--no-fund', '--loglevel=error'], app);
    chmodSync(home, 0o755);
    if (ids) chownSync(data, ids.uid, ids.gid);
  }, 8 * MINUTES);

  it('has the production dependencies alone, and a user who is not root', () => {
    const has = (name: string) => existsSync(join(app, 'node_modules', name));
    expect(['fastify', 'kafkajs', 'zod'].filter(has)).toHaveLength(3);
    expect(['typescript', 'vite', 'react', 'chdb', 'vitest'].filter(has)).toEqual([]);
    expect(image.user.uid).toBeGreaterThan(0);
  });

  it('checks the project that lies where it works', async () => {
    const { code, out } = await ended(container(inside([...image.entryPoint, 'check'], 0)));
    expect(out).toContain('payments is right');
    expect(code).toBe(0);
  });

  it(
    'applies, runs every stream, is healthy by its own check, and drains at SIGTERM',
    async () => {
      const { kafka, redis, registry, clickhouse } = await testStack();
      const servers = {
        KAFKA_BROKERS: kafka.join(','),
        REDIS_URL: redis ?? '',
        REGISTRY_URL: registry ?? '',
        CLICKHOUSE_URL: clickhouse ?? '',
      };
      const port = await freePort([], new Set());
      const prefix = ['--prefix', `image${process.pid}`];
      const call = (words: readonly string[]) =>
        container(inside([...image.entryPoint, ...words, ...prefix], port), servers);
      const applied = await ended(call(['apply']));
      expect(applied.out).not.toMatch(/error/i);
      expect(applied.code).toBe(0);

      const running = call(image.command);
      const end = ended(running);
      const healthy = async () => (await ended(container(inside(image.healthCheck, port)))).code === 0;
      await expect.poll(healthy, { timeout: 60_000, interval: 500 }).toBe(true);
      await expect
        .poll(async () => (await fetch(`http://127.0.0.1:${port}/health`)).status, {
          timeout: 60_000,
          interval: 500,
        })
        .toBe(200);
      running.kill('SIGTERM');
      const { code, out } = await end;
      expect(`${code} ${code === 0 ? '' : out}`).toBe('0 ');
      expect(await healthy()).toBe(false);
    },
    4 * MINUTES,
  );
});
