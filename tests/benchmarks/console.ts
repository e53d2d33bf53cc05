import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { CDPSession, Page } from 'playwright-core';
import { openChromium } from '../../console/chromium.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { topics } from '../../schemas/names.ts';
import { createArchive } from '../../streams/archive/archive.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { createApiWorld } from '../api/world.ts';
import { tripStart } from '../streams/plane.ts';

const HELP = `Leaves the live pages of the console open in a real Chromium while events flow, on the in-memory twins, and prints JSON:
how much the heap of each page grew after a collection, and the tasks of its main thread of more than 50 ms: how long
they lasted, and how much CPU they took. On a busy machine a task lasts longer than it works.

  --minutes N   how long, after a warm-up of a tenth (default 10)
  --rate N      events a second into the raw topic (default 5000)
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '5000' },
    help: { type: 'boolean' },
  },
});

const LIVE = ['/', '/predictions', '/entities?view=zone&entity=north', '/models'];
/** Batches a second. */
const BATCHES = 20;
const MB = 1024 * 1024;
const MOST_GROWTH_MB = 20;
const LONGEST_TASK_MS = 100;
const LONG_TASK_MS = 50;
/** A trace is read and forgotten this often, ms: its tasks take memory. */
const TRACE_MS = 30_000;
const say = (message: string) => process.stderr.write(`${message}\n`);

if (values.help === true) process.stdout.write(HELP);
else await main(Number(values.minutes) * 60_000, Number(values.rate));

async function main(lengthMs: number, rate: number): Promise<void> {
  const stop = new AbortController();
  const warehouse = await createMemoryWarehouse();
  const consoleDirectory = fileURLToPath(new URL('../../dist/console', import.meta.url));
  const world = await createApiWorld({ warehouse, server: { consoleDirectory } });
  const { project, deps } = world;
  await ensureTables(warehouse, project);
  world.run();
  const archive = createArchive({ ...deps, telemetry: SILENT }).run(stop.signal);
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}/console`;
  const feeding = feed(world, rate, stop.signal);
  const browser = await openChromium(['--js-flags=--expose-gc']);
  try {
    say(`${LIVE.length} pages at ${rate} events a second for ${lengthMs / 60_000} min, after a warm-up`);
    const pages = await Promise.all(
      LIVE.map(async (path) => watch(await browser.newPage(), `${base}${path}`, path)),
    );
    await sleep(lengthMs / 10);
    for (const page of pages) await page.begin();
    const before = await accepted(world);
    const began = performance.now();
    const tasks = await tasksOf(await browser.newBrowserCDPSession(), pages, lengthMs);
    const perSecond = ((await accepted(world)) - before) / ((performance.now() - began) / 1_000);
    const found = [];
    for (const page of pages) found.push(await page.end(tasks.get(page.path) ?? []));
    const holds = found.every(
      ({ grownMb, longestTaskMs }) => grownMb < MOST_GROWTH_MB && longestTaskMs <= LONGEST_TASK_MS,
    );
    process.stdout.write(
      `${JSON.stringify({ minutes: lengthMs / 60_000, sentPerSecond: rate, acceptedPerSecond: Math.round(perSecond), bounds: { MOST_GROWTH_MB, LONGEST_TASK_MS }, holds, pages: found }, null, 2)}\n`,
    );
  } finally {
    await browser.close();
    stop.abort();
    await feeding;
    await archive;
    await world.close();
    await warehouse.close();
  }
}

type World = Awaited<ReturnType<typeof createApiWorld>>;

/** Sends what a client of the project would, in batches. */
async function feed({ app }: World, rate: number, signal: AbortSignal): Promise<void> {
  for (let sent = 0, next = performance.now(); !signal.aborted; next += 1_000 / BATCHES) {
    const now = Date.now();
    const lines = Array.from({ length: Math.round(rate / BATCHES) }, () => {
      sent += 1;
      return JSON.stringify(tripStart(`b${sent}`, now, ['north', 'south', 'east'][sent % 3]));
    });
    await app.inject({
      method: 'POST',
      url: '/v1/events/trips',
      headers: { host: 'localhost', 'content-type': 'application/x-ndjson' },
      payload: lines.join('\n'),
    });
    await sleep(Math.max(0, next - performance.now()));
  }
}

/** Records in the validated topic. */
async function accepted({ deps, project }: World): Promise<number> {
  const admin = await deps.kafka.admin();
  const ends = await admin.offsets(topics.validated(project.prefix, 'trips'));
  await admin.close();
  return ends.reduce((sum, { end }) => sum + end, 0);
}

/** A task of a page's main thread. */
interface Task {
  /** From its begin to its end, whoever had the CPU. */
  readonly ms: number;
  /** Of its thread. */
  readonly cpuMs: number;
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds: wall clock, and CPU of the thread. */
  readonly dur?: number;
  readonly tdur?: number;
}

type Watched = Awaited<ReturnType<typeof watch>>;

/** The tasks of each page over a time, by its path, as Chromium traces them. */
async function tasksOf(
  session: CDPSession,
  pages: readonly Watched[],
  lengthMs: number,
): Promise<ReadonlyMap<string, readonly Task[]>> {
  const found = new Map<string, Task[]>(pages.map(({ path }) => [path, []]));
  for (const end = performance.now() + lengthMs; performance.now() < end; ) {
    const events = await trace(session, async () => {
      for (const page of pages) await page.mark();
      await sleep(Math.min(TRACE_MS, end - performance.now()));
    });
    // A page's mark tells which thread is its main one.
    const threads = new Map(
      events.flatMap(({ name, pid, tid }) => (found.has(name) ? [[`${pid}:${tid}`, name] as const] : [])),
    );
    if (threads.size < pages.length) throw new Error('the pages do not each have a process of their own');
    for (const { name, pid, tid, dur = 0, tdur = 0 } of events) {
      if (name !== 'ThreadControllerImpl::RunTask') continue;
      const path = threads.get(`${pid}:${tid}`);
      if (path !== undefined) found.get(path)?.push({ ms: dur / 1_000, cpuMs: tdur / 1_000 });
    }
  }
  return found;
}

async function trace(session: CDPSession, during: () => Promise<void>): Promise<readonly TraceEvent[]> {
  const events: TraceEvent[] = [];
  const collect = ({ value }: { value: unknown[] }) => events.push(...(value as TraceEvent[]));
  session.on('Tracing.dataCollected', collect);
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { recordMode: 'recordContinuously', includedCategories: ['toplevel', 'blink.user_timing'] },
  });
  await during();
  const complete = new Promise<void>((resolve) => session.once('Tracing.tracingComplete', () => resolve()));
  await session.send('Tracing.end');
  await complete;
  session.off('Tracing.dataCollected', collect);
  return events;
}

async function watch(page: Page, address: string, path: string) {
  await page.goto(address);
  await page.locator('h1').waitFor();
  const session = await page.context().newCDPSession(page);
  let heap = 0;
  return {
    path,
    mark: () => page.evaluate((name) => void performance.mark(name), path),
    async begin() {
      heap = await heapOf(session);
    },
    async end(tasks: readonly Task[]) {
      const after = await heapOf(session);
      const most = (of: (task: Task) => number) =>
        Math.round(tasks.reduce((longest, task) => Math.max(longest, of(task)), 0));
      return {
        path,
        heapMb: Number((after / MB).toFixed(1)),
        grownMb: Number(((after - heap) / MB).toFixed(1)),
        tasks: tasks.length,
        tasksOver50Ms: tasks.filter(({ ms }) => ms > LONG_TASK_MS).length,
        longestTaskMs: most(({ ms }) => ms),
        mostCpuMs: most(({ cpuMs }) => cpuMs),
      };
    },
  };
}

/** Bytes in use after a collection. */
async function heapOf(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  return usedSize;
}
