import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { openChromium } from './chromium.ts';

/**
 * Takes pictures of every page of a running API, light and dark, wide and narrow: to be looked at before a change is landed. Those
 * of the README go to docs/pictures as well.
 */

const HELP = `make pictures [URL=http://127.0.0.1:8420] [KEY=mr_…]

Takes a picture of every page of the console of a running API (millrace dev, millrace api), light and dark, wide and narrow, into
dist/pictures; those that the README shows go to docs/pictures too.`;

const DIRECTORY = join(import.meta.dirname, '../dist/pictures');
const README_DIRECTORY = join(import.meta.dirname, '../docs/pictures');
/** Pages that the README shows, wide. */
const IN_README: readonly string[] = ['flow', 'prediction', 'models', 'entity'];
/** A picture in the repository is at most as large, bytes. */
const LARGEST = 200_000;
const THEMES = ['light', 'dark'] as const;
const WIDTHS = { wide: 1_400, narrow: 420 } as const;
const HEIGHT = 900;
/** Figures come, and curves are drawn, within, ms. */
const SETTLED_MS = 15_000;
const DRAWN_MS = 1_500;

interface Shot {
  readonly name: string;
  readonly path: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8420' },
      key: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const url = values.url.replace(/\/(console\/?)?$/, '');
  const headers: Record<string, string> =
    values.key === undefined ? {} : { authorization: `Bearer ${values.key}` };
  const shots = await shotsOf(url, headers);
  mkdirSync(DIRECTORY, { recursive: true });
  mkdirSync(README_DIRECTORY, { recursive: true });
  const browser = await openChromium();
  try {
    for (const theme of THEMES)
      for (const width of ['wide', 'narrow'] as const)
        await takeAll(browser, url, headers, shots, theme, width);
  } finally {
    await browser.close();
  }
}

/** Every page, with addresses that this project has something to show at. Throws where the API does not answer. */
async function shotsOf(url: string, headers: Record<string, string>): Promise<Shot[]> {
  async function ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${url}${path}`, { headers }).catch((cause: unknown) => {
      throw new Error(`No API answers at ${url}: start millrace dev or millrace api, or say URL=…`, {
        cause,
      });
    });
    if (answer.status === 401) throw new Error(`${url} asks for a key: say KEY=…`);
    if (!answer.ok) throw new Error(`${url}${path} answers ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  }
  const { models, sources, views } = await ask<{
    models: { model: string }[];
    sources: { source: string }[];
    views: { view: string }[];
  }>('/v1/project');
  const pages: Shot[] = [
    { name: 'flow', path: '/' },
    { name: 'predictions', path: '/predictions' },
    { name: 'models', path: '/models' },
    { name: 'alerts', path: '/alerts' },
    { name: 'pipelines', path: '/pipelines' },
    { name: 'dead-letters', path: `/dead-letters/${sources[0]?.source ?? ''}` },
    { name: 'project', path: '/project' },
    { name: 'sql', path: '/sql' },
    { name: 'try', path: `/try?view=${views[0]?.view ?? ''}` },
  ];
  for (const { model } of models.slice(0, 1)) {
    const { predictions } = await ask<{ predictions: { id: string; score: number | null }[] }>(
      `/v1/models/${model}/predictions?status=scored&limit=200`,
    );
    // The one with the largest score has most to tell.
    const [shown] = predictions.toSorted((a, b) => (b.score ?? 0) - (a.score ?? 0));
    if (shown === undefined) continue;
    const id = encodeURIComponent(shown.id);
    pages.push({ name: 'prediction', path: `/predictions/${model}/${id}` });
    const { reads } = await ask<{ reads: { view: string; entity: string }[] }>(
      `/v1/models/${model}/predictions/${id}`,
    );
    const [read] = reads;
    if (read !== undefined)
      pages.push({
        name: 'entity',
        path: `/entities?view=${encodeURIComponent(read.view.split('@')[0] ?? '')}&entity=${encodeURIComponent(read.entity)}`,
      });
  }
  return pages;
}

async function takeAll(
  browser: Browser,
  url: string,
  headers: Record<string, string>,
  shots: readonly Shot[],
  theme: (typeof THEMES)[number],
  width: keyof typeof WIDTHS,
): Promise<void> {
  const context: BrowserContext = await browser.newContext({
    viewport: { width: WIDTHS[width], height: HEIGHT },
    colorScheme: theme,
    extraHTTPHeaders: headers,
  });
  const page = await context.newPage();
  for (const { name, path } of shots) {
    await settle(page, `${url}/console${path}`);
    const file = `${name}-${theme}-${width}.png`;
    writeFileSync(join(DIRECTORY, file), await page.screenshot({ fullPage: true }));
    if (width === 'wide' && IN_README.includes(name)) keep(`${name}-${theme}.png`, await page.screenshot());
    console.log(join(DIRECTORY, file));
  }
  await context.close();
}

/** Opens a page and waits until nothing on it is being looked for. */
async function settle(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await page.locator('h1').first().waitFor({ timeout: SETTLED_MS });
  await page.waitForTimeout(DRAWN_MS);
  // The policy of the pages forbids to evaluate text in them, which waitForFunction would do.
  await page
    .locator('[aria-busy=true]')
    .first()
    .waitFor({ state: 'detached', timeout: SETTLED_MS })
    .catch(() => console.log(`${address} still looks for something.`));
  await page.waitForTimeout(DRAWN_MS);
}

function keep(file: string, picture: Buffer): void {
  if (picture.length > LARGEST)
    throw new Error(
      `${file} has ${picture.length} bytes; a picture in the repository has at most ${LARGEST}.`,
    );
  writeFileSync(join(README_DIRECTORY, file), picture);
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
