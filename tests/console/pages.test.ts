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
import type { Role } from '../../api/roles.ts';
import { openChromium } from '../../console/chromium.ts';
import { topics } from '../../schemas/names.ts';
import { tripStart } from '../streams/plane.ts';
import { type ConsoleWorld, openConsoleWorld } from './world.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MAX_GZIP = 250_000;

/** Address of each page, and a text that it shows once it has its figures. */
const PAGES = [
  ['/', 'From event to prediction'],
  ['/entities?view=zone&entity=north', 'Its events'],
  ['/predictions', 'trip e'],
  ['/predictions/cost/trip%20e3', 'What it saw, and what that added'],
  ['/models', 'What became of them'],
  ['/alerts', 'Nothing fired so far.'],
  ['/pipelines', 'Declared'],
  ['/dead-letters/trips', /^bad_/],
  ['/project', 'Source trips'],
  ['/sql', 'Ask ClickHouse'],
  ['/try?view=zone', 'Declaration'],
  ['/nowhere', 'There is no such page.'],
] as const;

describe('the console in a real Chromium', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-console-'));
  let opened: ConsoleWorld;
  let browser: Browser;
  let base: string;
  const faults: string[] = [];

  beforeAll(async () => {
    await build({
      configFile: fileURLToPath(new URL('../../console/vite.config.ts', import.meta.url)),
      build: { outDir: directory, emptyOutDir: true },
      logLevel: 'error',
    });
    opened = await openConsoleWorld(directory);
    const { project, deps, app } = opened.world;
    base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    const producer = await deps.kafka.producer();
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
  });

  afterAll(async () => {
    await browser?.close();
    await opened?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function open(role: Role, colorScheme: 'light' | 'dark', width: number): Promise<Page> {
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
    ['admin', 'dark', 1_400],
  ] as const)
    it(`every page answers who is ${role}, ${theme} and ${width} px wide, and axe finds nothing`, async () => {
      const page = await open(role, theme, width);
      for (const [path, text] of PAGES) {
        await page.goto(`${base}/console${path}`);
        await page.getByText(text).first().waitFor({ timeout: 20_000 });
        expect(await violations(page), path).toEqual([]);
      }
      await page.close();
      expect(faults).toEqual([]);
    });

  it('opens a prediction from the list with the keyboard, and shows what it read', async () => {
    const page = await open('viewer', 'light', 1_400);
    await page.goto(`${base}/console/predictions`);
    const row = page.getByRole('row').filter({ hasText: 'trip e' }).first();
    await row.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/predictions\/cost\//);
    await page.goBack();
    await page.getByLabel('answer').selectOption('refused');
    await page.waitForURL(/answer=refused/);
    await page.close();
  });

  it('shows changes to whom may make them alone, and asks why', async () => {
    const looking = await open('viewer', 'light', 1_400);
    await looking.goto(`${base}/console/pipelines`);
    await looking.getByText('Declared').first().waitFor();
    expect(await looking.getByRole('button', { name: 'Run now' }).count()).toBe(0);
    await looking.getByRole('button', { name: 'Log out' }).click();
    await looking.waitForSelector('input[name=key]');
    await looking.close();
  });

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
  });

  it('tells a producer that its key shows nothing', async () => {
    const page = await browser.newPage();
    await page.goto(`${base}/console/`);
    await page.fill('input[name=key]', 'mr-test-producer');
    await page.click('button[type=submit]');
    await page
      .getByRole('alert')
      .getByText(/producer/)
      .waitFor();
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  const ask = async (id: string, more: object = {}) => {
    const { statusCode } = await opened.world.app.inject({
      method: 'POST',
      url: '/v1/events/trips',
      headers: { host: 'localhost', authorization: 'Bearer mr-test-producer' },
      payload: { ...tripStart(id, Date.now(), 'north'), ...more },
    });
    expect(statusCode).toBe(202);
  };

  it('shows answers as they come, and asks for nothing meanwhile', async () => {
    const page = await open('viewer', 'light', 1_400);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(`${base}/console/predictions`);
    await page.getByText('live', { exact: true }).first().waitFor();
    const looks = () => asked.filter((path) => path.endsWith('/cost/predictions')).length;
    // One look more, for what came between the first and the beginning of the stream.
    await expect.poll(looks).toBeGreaterThan(1);
    const before = looks();
    await ask('as it comes');
    await page.getByText('as it comes').waitFor();
    // A page that asks would have done so three times.
    await page.waitForTimeout(5_000);
    expect(looks() - before, asked.join(' ')).toBeLessThan(2);
    await page.getByLabel('answer').selectOption('refused');
    await ask('not of this kind');
    await page.waitForTimeout(1_500);
    expect(await page.getByText('not of this kind').count()).toBe(0);
    await page.close();
  });

  it.each([
    ['breaks off', 'reconnecting …'],
    ['is refused', 'asks every few seconds'],
  ])('a stream that %s: says "%s", and shows what is new all the same', async (how, said) => {
    const page = await open('viewer', 'dark', 420);
    await page.route('**/v1/streams/**', (route) =>
      how === 'breaks off' ? route.abort('connectionreset') : route.fulfill({ status: 503, json: {} }),
    );
    await page.goto(`${base}/console/predictions`);
    await page.getByText(said).waitFor();
    await ask(`told though it ${how}`);
    await page.getByText(`told though it ${how}`).waitFor();
    expect(await violations(page)).toEqual([]);
    for (const path of ['/', '/alerts', '/pipelines']) {
      await page.goto(`${base}/console${path}`);
      await page.getByText(said).waitFor();
    }
    await page.unroute('**/v1/streams/**');
    if (how === 'breaks off') await page.locator('.live-state.live').waitFor();
    await page.close();
  });

  it('says what each input added to a score, and where it stands among what was learnt from', async () => {
    const page = await open('viewer', 'light', 1_400);
    await page.goto(`${base}/console/predictions/cost/trip%20e3`);
    const table = page.getByRole('group', { name: 'Inputs' });
    await table.getByRole('columnheader', { name: 'among what it learnt from' }).waitFor();
    const added = await table.locator('.adds .digits').allTextContents();
    const sizes = added.map((text) => Number(text.replace('−', '').replace('+', '')));
    expect(sizes.length).toBeGreaterThan(3);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    await page.getByText('the same to the last bit').waitFor();
    await page.getByText('not known yet').waitFor();
    await page.close();
  });

  it('shows how a model does: calibration, two distributions, runs that differ', async () => {
    const page = await open('viewer', 'light', 1_400);
    await page.goto(`${base}/console/models`);
    await page.getByRole('img', { name: /^Calibration of version 1/ }).waitFor();
    await page.getByRole('img', { name: /< 3: 50 % before, 20 % now/ }).waitFor();
    await page.getByLabel('Compare training-a').check();
    await page.getByLabel('Compare training-b').check();
    const differs = page.getByRole('group', { name: 'What differs between the runs' });
    await differs.getByText('rounds').waitFor();
    await differs.getByText('validation_log_loss').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  it('shows all that a step of a run said', async () => {
    const page = await open('viewer', 'light', 420);
    await page.goto(`${base}/console/pipelines`);
    await page.getByRole('button', { name: 'Log of train' }).click();
    const log = page.getByRole('region', { name: 'What train said' });
    await log.getByText('The disk is full.').waitFor();
    const lines = (await log.getByRole('listitem').allTextContents()).map((line) => line.slice(20));
    expect(lines).toEqual([
      'try 1 begun by worker 7',
      'epoch 1 of 5',
      'The disk is full.',
      'try 2 begun by worker 8',
      'trees, 300 rounds',
    ]);
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  it('an operator promotes a version and rolls back, each with a reason that stays', async () => {
    const page = await open('operator', 'light', 1_400);
    await page.goto(`${base}/console/models`);
    const said = async (button: string, doIt: string, reason: string) => {
      await page.getByRole('region', { name: 'Versions' }).getByRole('button', { name: button }).click();
      const dialog = page.getByRole('dialog');
      expect(await dialog.getByRole('button', { name: doIt }).isDisabled()).toBe(true);
      await dialog.getByRole('textbox').fill(reason);
      expect(await violations(page)).toEqual([]);
      await dialog.getByRole('button', { name: doIt }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.getByRole('region', { name: 'What became of them' }).getByText(reason).first().waitFor();
    };
    await said('Promote', 'Promote', 'looked at it with the team');
    await page.getByText('Version 2 answers the requests.').waitFor();
    await said('Roll back', 'Roll back', 'scores look odd');
    await page.getByText('Version 1 answers the requests.').waitFor();
    await page.close();
  });

  it('leads to an entity without its key being known, and to what was known of it a day earlier', async () => {
    const page = await open('viewer', 'light', 1_400);
    await page.getByRole('link', { name: 'Entities' }).click();
    await page.getByRole('region', { name: 'View zone' }).getByRole('link', { name: 'north' }).click();
    await page.waitForURL(/view=zone&entity=north$/);
    await page.getByRole('link', { name: 'a day earlier' }).click();
    await page.waitForURL(/at=/);
    await page.getByRole('link', { name: 'the newest' }).click();
    await page.waitForURL(/view=zone&entity=north$/);
    // A field that is a time reads as one.
    const ended = { type: 'trip.ended', price: 10, started_at: Date.now() - 60_000 };
    await ask('a trip that ended', ended);
    await page
      .getByRole('table', { name: 'Events of north' })
      .getByText(/started_at=\d{4}-\d\d-\d\dT/)
      .first()
      .waitFor();
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  it('shows the record behind a prediction as its producer sent it', async () => {
    const page = await open('viewer', 'dark', 420);
    await page.goto(`${base}/console/predictions/cost/trip%20e3`);
    const record = page.getByRole('region', { name: 'The record that asked' });
    await record
      .getByText(/trip e3/)
      .first()
      .waitFor();
    expect(await record.locator('.hex').textContent()).toContain('trip e3');
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  it('waits for a prediction that the archive does not have yet', async () => {
    const page = await open('viewer', 'light', 1_400);
    const path = '**/v1/models/cost/predictions/trip%20e5';
    const problem = { code: 'unknown_prediction', detail: 'There is no prediction of this id.' };
    await page.route(path, (route) => route.fulfill({ status: 404, json: problem }));
    await page.goto(`${base}/console/predictions/cost/trip%20e5`);
    await page.getByText('the page asks again by itself').waitFor();
    await page.unroute(path);
    await page.getByText('the same to the last bit').waitFor();
    expect(await page.getByText('the page asks again by itself').count()).toBe(0);
    await page.close();
  });

  it('says what a view costs, and where each input of a model comes from', async () => {
    const page = await open('viewer', 'light', 1_400);
    // The model of this project takes no field of the request as it stands.
    await page.route('**/v1/project', async (route) => {
      const project = await (await route.fetch()).json();
      project.models[0].features.push({ name: 'price', expression: null, read: null });
      await route.fulfill({ json: project });
    });
    await page.goto(`${base}/console/project`);
    await page
      .getByRole('region', { name: 'View zone' })
      .getByText(/At worst an entity takes [\d,]+ kB/)
      .waitFor();
    const inputs = page.getByRole('group', { name: 'Features of cost' });
    await inputs
      .getByText(/^view zone, by zone$/)
      .first()
      .waitFor();
    await inputs.getByText('the request', { exact: true }).first().waitFor();
    await page.close();
  });

  it('an operator silences a model for a while, sees who did, and ends it', async () => {
    await opened.alert();
    const page = await open('operator', 'light', 1_400);
    await page.goto(`${base}/console/alerts`);
    const row = page
      .getByRole('group', { name: 'Alerts' })
      .getByRole('row')
      .filter({ hasText: 'went wrong' });
    await row.getByRole('button', { name: 'Silence' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('What').selectOption('model');
    await dialog.getByLabel('For').selectOption('1d');
    await dialog.getByRole('textbox').fill('a known storm');
    expect(await violations(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Silence them' }).click();
    await dialog.waitFor({ state: 'detached' });
    await row.getByText(/^until 20/).waitFor();
    await page.getByRole('link', { name: 'Flow' }).click();
    await page.getByText(/looks after it until 20/).waitFor();
    await page.getByRole('link', { name: 'Alerts' }).click();
    const silences = page.getByRole('group', { name: 'Silences' });
    await silences.getByText('a known storm').waitFor();
    await silences.getByText('every rule').waitFor();
    await silences.getByRole('button', { name: 'End it' }).click();
    await dialog.getByRole('textbox').fill('it is over');
    await dialog.getByRole('button', { name: 'End the silence' }).click();
    await page.getByText('Nothing is silenced.').waitFor();
    await page.close();
  });

  it('follows an entity to a time in the past', async () => {
    const page = await open('viewer', 'light', 1_400);
    await page.goto(`${base}/console/entities?view=zone&entity=north`);
    const events = page.getByRole('table', { name: 'Events of north' });
    await events.getByRole('link').nth(3).click();
    await page.waitForURL(/at=/);
    await page.getByText(/every event before it is in, none after|Computed from the archive/).waitFor();
    // As an online store answers that keeps the time no more; the rest is real.
    await page.route('**/v1/features/zone?*', (route) =>
      route.fulfill({ status: 409, json: { code: 'behind', detail: 'It is older than what is kept.' } }),
    );
    await page.reload();
    await page.getByText('Computed from the archive').waitFor();
    await page.getByRole('group', { name: 'Features' }).getByText('starts_10m').waitFor();
    await page.close();
  });

  it('tries a changed view on history, and says what is wrong with one', async () => {
    const page = await open('operator', 'light', 1_400);
    await page.goto(`${base}/console/project`);
    await page.getByRole('link', { name: 'Try a change' }).first().click();
    const text = page.getByRole('textbox', { name: /^Declaration/ });
    await expect.poll(() => text.inputValue()).toContain('view: line');
    await page.getByLabel('View', { exact: true }).selectOption('zone');
    await expect.poll(() => text.inputValue()).toContain('view: zone');
    const more = 'features:\n  - { name: tried, aggregation: count, event: trip.started, windows: [10m] }';
    await text.fill((await text.inputValue()).replace('features:', more));
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.getByRole('group', { name: 'Values' }).getByText('tried_10m').waitFor();
    expect(await violations(page)).toEqual([]);
    await text.fill('view: zone\nentity: [zones]\nresolution: 1m\nfeatures: []\n');
    await page.getByRole('button', { name: 'Try it' }).click();
    await page
      .getByRole('alert')
      .getByText(/^declaration:\d+:\d+: /)
      .waitFor();
    await page.close();
  });

  it('tries no view before its declaration is there', async () => {
    const page = await open('operator', 'light', 1_400);
    let go = (): void => {};
    const held = new Promise<void>((done) => {
      go = done;
    });
    await page.route('**/declaration', async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${base}/console/try?view=zone`);
    const button = page.getByRole('button', { name: 'Try it' });
    await button.waitFor();
    expect(await button.isDisabled()).toBe(true);
    go();
    const text = page.getByRole('textbox', { name: /^Declaration/ });
    await expect.poll(() => text.inputValue()).toContain('view: zone');
    expect(await button.isDisabled()).toBe(false);
    await page.close();
  });

  it('asks ClickHouse for an operator, and says what it refuses', async () => {
    const page = await open('operator', 'light', 1_400);
    await page.goto(`${base}/console/sql`);
    const statement = page.getByLabel('Statement');
    await statement.fill('SELECT number, number * 2 AS twice FROM numbers(3)');
    await statement.press('Control+Enter');
    await page.getByRole('table', { name: 'Rows' }).getByText('twice').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'predictions of cost by day' }).click();
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByRole('table', { name: 'Rows' }).getByText('mean_score').waitFor();
    await statement.fill('DROP TABLE trips');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page
      .getByRole('alert')
      .getByText(/Only SELECT/)
      .waitFor();
    await page.close();
    const looking = await open('viewer', 'light', 1_400);
    await looking.goto(`${base}/console/sql`);
    await looking.getByText(/A key with the role operator may ask/).waitFor();
    await looking.close();
  });

  it('is small', () => {
    const sizes = readdirSync(join(directory, 'assets')).map(
      (name) => gzipSync(readFileSync(join(directory, 'assets', name))).length,
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeLessThan(MAX_GZIP);
  });
});
