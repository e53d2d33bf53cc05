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
how much the heap of each page grew after a collection, and its tasks of more than 50 ms.

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
    await sleep(lengthMs);
    const perSecond = ((await accepted(world)) - before) / ((performance.now() - began) / 1_000);
    const found = [];
    for (const page of pages) found.push(await page.end());
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

async function watch(page: Page, address: string, path: string) {
  await page.addInitScript(() => {
    const tasks: number[] = [];
    Object.assign(globalThis, { millraceTasks: tasks });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    }).observe({ type: 'longtask' } as unknown as { entryTypes: [] });
  });
  await page.goto(address);
  await page.locator('h1').waitFor();
  const session = await page.context().newCDPSession(page);
  let heap = 0;
  return {
    async begin() {
      await page.evaluate(() =>
        (globalThis as unknown as { millraceTasks: number[] }).millraceTasks.splice(0),
      );
      heap = await heapOf(session);
    },
    async end() {
      const tasks = await page.evaluate(
        () => (globalThis as unknown as { millraceTasks: number[] }).millraceTasks,
      );
      const after = await heapOf(session);
      return {
        path,
        heapMb: Number((after / MB).toFixed(1)),
        grownMb: Number(((after - heap) / MB).toFixed(1)),
        tasksOver50Ms: tasks.length,
        longestTaskMs: Math.round(Math.max(0, ...tasks)),
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
