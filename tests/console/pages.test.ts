import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChromium } from '../../console/chromium.ts';
import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { topics } from '../../schemas/names.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { createArchive } from '../../streams/archive/archive.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { type ApiWorld, createApiWorld, testKeys } from '../api/world.ts';
import { tripStart } from '../streams/plane.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MAX_GZIP = 250_000;

/** Address of each page, and a text that it shows once it has its figures. */
const PAGES = [
  ['/', 'From event to prediction'],
  ['/entities?view=zone&entity=north', 'Look one up'],
  ['/predictions', 'trip e'],
  ['/models', 'What became of them'],
  ['/alerts', 'Nothing fired so far.'],
  ['/pipelines', 'Declared'],
  ['/dead-letters/trips', /^bad_/],
  ['/project', 'Source trips'],
  ['/nowhere', 'There is no such page.'],
] as const;

describe('the console in a real Chromium', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-console-'));
  const stop = new AbortController();
  let warehouse: MemoryWarehouse;
  let world: ApiWorld;
  let archiving: Promise<void>;
  let browser: Browser;
  let base: string;
  const faults: string[] = [];

  beforeAll(async () => {
    await build({
      configFile: fileURLToPath(new URL('../../console/vite.config.ts', import.meta.url)),
      build: { outDir: directory, emptyOutDir: true },
      logLevel: 'error',
    });
    warehouse = await createMemoryWarehouse();
    world = await createApiWorld({ warehouse, keys: testKeys(), server: { consoleDirectory: directory } });
    const { project, deps } = world;
    await ensureTables(warehouse, project);
    world.run();
    const { kafka, codecs, clock } = deps;
    archiving = createArchive({ project, kafka, codecs, clock, warehouse, telemetry: SILENT }).run(
      stop.signal,
    );
    await world.app.listen({ host: '127.0.0.1', port: 0 });
    base = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}`;
    const start = Math.floor((Date.now() - 20 * MINUTE) / MINUTE) * MINUTE;
    const trips = Array.from({ length: 40 }, (_, i) =>
      tripStart(`trip e${i}`, start + i * 20 * SECOND, ['north', 'south'][i % 2]),
    );
    const sent = await fetch(`${base}/v1/events/trips`, {
      method: 'POST',
      headers: { authorization: 'Bearer mr-test-producer', 'content-type': 'application/x-ndjson' },
      body: trips.map((one) => JSON.stringify(one)).join('\n'),
    });
    expect(sent.status).toBe(202);
    const producer = await kafka.producer();
    await producer.send([
      {
        topic: topics.raw(project.prefix, 'trips'),
        partition: 0,
        key: null,
        value: Buffer.from('no event'),
        headers: {},
      },
    ]);
    await producer.close();
    browser = await openChromium();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    stop.abort();
    await archiving;
    await world?.close();
    await warehouse?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function open(
    role: 'viewer' | 'operator',
    colorScheme: 'light' | 'dark',
    width: number,
  ): Promise<Page> {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      // The first look at the session is refused: that is how the page knows to ask for a key.
      if (message.type() === 'error' && !message.text().includes('401')) faults.push(message.text());
    });
    await page.goto(`${base}/console/`);
    await page.fill('input[name=key]', `mr-test-${role}`);
    await page.click('button[type=submit]');
    await page.waitForSelector('nav');
    return page;
  }

  /** What axe finds on the page as it is. */
  async function violations(page: Page): Promise<readonly string[]> {
    // A script of the page's own origin alone may run, so axe comes over the debugger's protocol.
    await page.evaluate(AXE);
    return page.evaluate(async () => {
      const { axe } = globalThis as unknown as {
        axe: { run: () => Promise<{ violations: Array<{ id: string; nodes: Array<{ html: string }> }> }> };
      };
      const found = await axe.run();
      return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
    });
  }

  for (const [role, theme, width] of [
    ['viewer', 'light', 1_400],
    ['operator', 'dark', 420],
  ] as const)
    it(`every page answers a ${role}, ${theme} and ${width} px wide, and axe finds nothing`, async () => {
      const page = await open(role, theme, width);
      for (const [path, text] of PAGES) {
        await page.goto(`${base}/console${path}`);
        await page.getByText(text).first().waitFor({ timeout: 20_000 });
        expect(await violations(page), path).toEqual([]);
      }
      await page.close();
      expect(faults).toEqual([]);
    }, 120_000);

  it('opens a prediction from the list with the keyboard, and shows what it read', async () => {
    const page = await open('viewer', 'light', 1_400);
    await page.goto(`${base}/console/predictions`);
    const row = page.getByRole('row').filter({ hasText: 'trip e' }).first();
    await row.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/predictions\/cost\//);
    await page.goBack();
    await page.getByLabel('answer').selectOption('refused');
    await page.waitForURL(/status=refused/);
    await page.close();
  }, 60_000);

  it('shows changes to whom may make them alone, and asks why', async () => {
    const looking = await open('viewer', 'light', 1_400);
    await looking.goto(`${base}/console/pipelines`);
    await looking.getByText('Declared').first().waitFor();
    expect(await looking.getByRole('button', { name: 'Run now' }).count()).toBe(0);
    await looking.getByRole('button', { name: 'Log out' }).click();
    await looking.waitForSelector('input[name=key]');
    await looking.close();
  }, 60_000);

  it('tries on dead letters what would become of them now', async () => {
    const looking = await open('viewer', 'light', 1_400);
    await looking.goto(`${base}/console/dead-letters/trips`);
    await looking.getByText('By reason').first().waitFor();
    expect(await looking.getByRole('button', { name: 'Try it: dry run' }).count()).toBe(0);
    await looking.close();
    const page = await open('operator', 'dark', 420);
    await page.goto(`${base}/console/dead-letters/trips`);
    await page.getByRole('button', { name: 'Try it: dry run' }).click();
    await page.getByText('would be refused again').first().waitFor();
    expect(await violations(page)).toEqual([]);
    await page.close();
  }, 60_000);

  it('is small', () => {
    const sizes = readdirSync(join(directory, 'assets')).map(
      (name) => gzipSync(readFileSync(join(directory, 'assets', name))).length,
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeLessThan(MAX_GZIP);
  });
});
