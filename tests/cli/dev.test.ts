import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, inject, it } from 'vitest';
import { fingerprint, watchProject } from '../../cli/dev/watch.ts';
import { createProducer, eventsOf } from '../../client/index.ts';
import { loadProject } from '../../config/load.ts';
import { localVariables } from '../../infrastructure/local/addresses.ts';
import { isUsed, joinStack, keepStack } from '../../infrastructure/local/lease.ts';
import { startOf } from '../../infrastructure/local/processes.ts';
import { topics } from '../../schemas/names.ts';
import { root } from '../architecture/sources.ts';
import { testStack } from '../stack.ts';
import { millrace, PAGE_VIEW, pageViews } from './project.ts';

const directories: string[] = [];
const temporary = () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-dev-'));
  directories.push(directory);
  return directory;
};
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

let child: ChildProcess | undefined;
afterEach(() => {
  child?.kill('SIGKILL');
});

/** Standard output and error of `millrace dev`, as they come. */
function startDev(directory: string, variables: Readonly<Record<string, string>>) {
  const own = spawn(
    process.execPath,
    [join(root, 'cli/millrace.ts'), 'dev', '--project', directory, '--api-port', '0'],
    {
      // A directory that is neither the project's nor the clone's.
      cwd: tmpdir(),
      env: { ...process.env, NO_COLOR: '1', ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  child = own;
  let said = '';
  let seen = 0;
  own.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  own.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const ended = new Promise<number | null>((done) => own.once('exit', (code) => done(code)));
  return {
    own,
    ended,
    said: () => said,
    /** Waits for a text after the one that was waited for before. */
    async heard(text: RegExp, withinMs = 60_000): Promise<void> {
      const until = performance.now() + withinMs;
      for (;;) {
        const found = text.exec(said.slice(seen));
        if (found !== null) {
          seen += found.index + found[0].length;
          return;
        }
        if (performance.now() > until || own.exitCode !== null)
          throw new Error(`not heard: ${text}\n${said}`);
        await new Promise((done) => setTimeout(done, 50));
      }
    },
  };
}

async function until(holds: () => Promise<boolean>, withinMs = 30_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it did not come to be');
    await new Promise((done) => setTimeout(done, 250));
  }
}

it('runs a project, applies what changes in its YAML, refuses what is wrong, and ends all', async () => {
  await testStack();
  const stack = inject('stackDirectory');
  const shop = await pageViews(1, `dev_${Date.now().toString(36)}`);
  directories.push(dirname(shop));
  const variables = { MILLRACE_STACK: stack };
  const dev = startDev(shop, variables);
  await dev.heard(/runs: 2 sources, 2 views, 1 model\b/);
  await dev.heard(/HTTP API at http/);
  const url = /HTTP API at (http:\S+?),/.exec(dev.said())?.[1] ?? '';
  expect((await fetch(`${url}/openapi.json`)).status).toBe(200);
  // The README's example is taken as it stands.
  const example = /v1\/events\/(\S+) .* -d '(.*)'/.exec(readFileSync(join(shop, 'README.md'), 'utf8'));
  const sent = await fetch(`${url}/v1/events/${example?.[1]}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: example?.[2] ?? '',
  });
  expect([sent.status, await sent.text()]).toEqual([202, expect.stringContaining('e-1')]);

  const project = loadProject(shop, { environment: { ...localVariables(stack), ...process.env } });
  const source = project.sources.find(({ name }) => name.startsWith('dev_'))?.name ?? '';
  const producer = await createProducer(project);
  const send = async (user: string) => {
    const at = Date.now();
    await producer.send(
      source,
      eventsOf(project, source, [
        { ...PAGE_VIEW, view_id: `${user}-${at}`, at: new Date(at).toISOString(), user: { id: user } },
      ]),
    );
  };
  const features = () =>
    millrace(['features', 'get', 'user_id=u17', '--view', 'user', '--json', '--project', shop], {
      env: variables,
    });
  try {
    await send('u17');
    // Time goes on with events: the first is in a closed tile when a later one has come.
    await until(async () => {
      await send('other');
      return /"events_10m":\s*1/.test((await features()).out);
    });

    const view = join(shop, 'views/user.yaml');
    const text = readFileSync(view, 'utf8');
    writeFileSync(view, text.replace('aggregation: count', 'aggregation: kount'));
    await dev.heard(/views\/user\.yaml:\d+:\d+.*kount/);
    await dev.heard(/What ran before goes on/);
    writeFileSync(view, `${text}  - { name: views, aggregation: count, windows: [1h] }\n`);
    await dev.heard(/runs: 2 sources, 2 views, 1 model\b/);
    await send('u17');
    await until(async () => {
      await send('other');
      return /"views_1h":\s*[1-9]/.test((await features()).out);
    });
    expect(existsSync(join(shop, '.millrace/logs/dev-streams.log'))).toBe(true);

    // The topic is looked at for another project, and a view is tried on it.
    const topic = topics.raw(project.prefix, source);
    const other = join(temporary(), 'other');
    const made = await millrace(['init', other, '--topic', topic, '--key', 'user.id', '--json'], {
      env: variables,
    });
    expect(made.err).toBe('');
    const { proposal } = JSON.parse(made.out);
    expect(proposal).toMatchObject({
      source,
      topic: proposal.name === project.prefix ? null : { name: topic, partitions: 3 },
      key: 'user_id',
      time: { path: 'at', unit: 'iso' },
    });
    const tried = await millrace(['try', view, '--on', topic, '--json', '--project', shop], {
      env: variables,
    });
    expect([tried.code, tried.err]).toEqual([0, expect.not.stringContaining('error')]);
    expect(JSON.parse(tried.out).values.features.map(({ name }: { name: string }) => name)).toContain(
      'user.views_1h',
    );
  } finally {
    await producer.close();
  }

  const pids = childrenOf(dev.own.pid ?? 0);
  expect(pids.length).toBeGreaterThan(1);
  dev.own.kill('SIGINT');
  expect(await dev.ended).toBe(0);
  expect(pids.filter((pid) => startOf(pid) !== undefined)).toEqual([]);
  // The stack was there before: it stays.
  expect(dev.said()).toContain('The local stack stays');
  expect((await millrace(['status', '--json'], { env: variables })).code).toBe(0);
}, 240_000);

it('says what is wrong before it starts anything', async () => {
  const directory = temporary();
  writeFileSync(join(directory, 'project.yaml'), 'name: x\nsourcez: []\n');
  const { code, err } = await millrace(['dev', '--project', directory], {
    env: { MILLRACE_STACK: join(directory, 'stack') },
  });
  expect(code).toBe(2);
  expect(err).toContain("'sourcez'");
  expect(existsSync(join(directory, 'stack'))).toBe(false);
});

/** Processes whose parent this is (Linux). */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

describe('leases of the local stack', () => {
  it('the last one that leaves ends a stack that a lease started', () => {
    const stack = temporary();
    const lease = joinStack(stack);
    expect(isUsed(stack)).toBe(true);
    expect(lease.leave()).toBe(true);
    expect(isUsed(stack)).toBe(false);
    expect(lease.leave()).toBe(false);
  });

  it('nobody ends what `up` keeps, what ran before, or what another living process uses', () => {
    const kept = temporary();
    const first = joinStack(kept);
    keepStack(kept);
    expect(first.leave()).toBe(false);

    const running = temporary();
    writeFileSync(join(running, 'addresses.json'), '{}');
    expect(joinStack(running).leave()).toBe(false);

    const shared = temporary();
    const mine = joinStack(shared);
    const other = join(shared, 'users', `${process.ppid}.json`);
    writeFileSync(other, JSON.stringify({ pid: process.ppid, started: startOf(process.ppid) }));
    expect(mine.leave()).toBe(false);
    // A process that died without leaving holds nothing.
    writeFileSync(other, JSON.stringify({ pid: process.ppid, started: 'another time' }));
    const last = joinStack(shared);
    expect(last.leave()).toBe(true);
  });
});

describe('watching a project', () => {
  it('tells of a change of a text once it is still, and of nothing else', async () => {
    const directory = temporary();
    const file = join(directory, 'project.yaml');
    writeFileSync(file, 'name: a\n');
    const first = fingerprint(directory);
    writeFileSync(file, 'name: a\n');
    writeFileSync(join(directory, 'notes.txt'), 'x');
    expect(fingerprint(directory)).toBe(first);
    const ending = new AbortController();
    let told = 0;
    const watching = watchProject(
      directory,
      async () => {
        told += 1;
      },
      ending.signal,
      20,
    );
    for (const name of ['b', 'c', 'd']) writeFileSync(file, `name: ${name}\n`);
    await until(async () => told === 1, 5_000);
    await new Promise((done) => setTimeout(done, 150));
    expect(told).toBe(1);
    rmSync(file);
    await until(async () => told === 2, 5_000);
    ending.abort();
    await watching;
  });
});

it('dev says before it starts anything that its port is taken', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const payments = join(root, 'docs/examples/payments');
    const ended = await millrace(['dev', '--no-stack', '--api-port', String(port), '--project', payments]);
    expect([ended.code, ended.err]).toEqual([
      1,
      `error: Another program listens at 127.0.0.1:${port}: end it (another millrace dev or api?), or choose another port with --port, or --api-port of dev; 0 takes a free one.\n`,
    ]);
  } finally {
    server.close();
  }
});
