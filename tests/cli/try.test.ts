import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEventsOf } from '../../cli/try/history.ts';
import { overlayOf } from '../../cli/try/overlay.ts';
import type { RefusedRows } from '../../cli/try/refused.ts';
import { eventsOf } from '../../client/project.ts';
import { loadProject } from '../../config/load.ts';
import { createMemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { summaryOf } from '../../models/feature-summary.ts';
import { millrace, pageViews } from './project.ts';

let shop = '';
/** No server answers there: what is tried needs none. */
const NOWHERE = {
  KAFKA_BROKERS: '127.0.0.1:1',
  REDIS_URL: 'redis://127.0.0.1:1',
  REGISTRY_URL: 'http://127.0.0.1:1',
  CLICKHOUSE_URL: 'http://127.0.0.1:1',
};

beforeAll(async () => {
  shop = await pageViews(120);
});
afterAll(() => rmSync(dirname(shop), { recursive: true, force: true }));

interface Tried {
  readonly replaces: boolean;
  readonly values: {
    readonly requests: number;
    readonly ids: readonly string[];
    readonly times: readonly number[];
    readonly features: ReadonlyArray<{
      readonly name: string;
      readonly nulls: number;
      readonly last: ReadonlyArray<number | null>;
    }>;
    readonly refused: readonly RefusedRows[];
    readonly cost: { readonly entities: number; readonly bytes: number; readonly events: number };
  };
  readonly gain: {
    readonly before: { readonly model: { readonly auc: number } } | null;
    readonly after: { readonly rows: number; readonly model: { readonly auc: number } };
  } | null;
}

async function tryIt(...parameters: readonly string[]): Promise<Tried> {
  const { code, out, err } = await millrace(['try', ...parameters, '--json'], { cwd: shop, env: NOWHERE });
  if (code !== 0) throw new Error(out + err);
  return JSON.parse(out) as Tried;
}

it('shows the values that live would have read, and what they cost', async () => {
  const { values, replaces, gain } = await tryIt(
    'views/user.yaml',
    '--on',
    'history/page_views.jsonl',
    '--no-gain',
    '--last',
    '20',
  );
  expect(replaces).toBe(true);
  expect(gain).toBeNull();
  const project = loadProject(shop, { environment: {} });
  const events = eventsOf(
    project,
    'page_views',
    readFileSync(join(shop, 'history/page_views.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  );
  expect(values.requests).toBe(events.length);
  expect(values.cost.events).toBeGreaterThanOrEqual(events.length);
  expect(values.cost.entities).toBeGreaterThan(20);
  expect(values.cost.bytes).toBeGreaterThan(1_000);
  // Counted by hand: head = the time less out_of_orderness, cut to the resolution of 10 s; 10 minutes before it.
  const counted = values.ids.map((id) => {
    const request = events.find((event) => event.id === id);
    const head = Math.floor(((request?.time ?? 0) - 5_000) / 10_000) * 10_000;
    return events.filter(
      ({ user_id, time }) => user_id === request?.user_id && time < head && time >= head - 600_000,
    ).length;
  });
  expect(values.features.find(({ name }) => name === 'user.events_10m')?.last).toEqual(counted);
});

it('trains the model without and with the change, on the same later requests', async () => {
  const text = readFileSync(join(shop, 'views/user.yaml'), 'utf8');
  const file = join(dirname(shop), 'tried.yaml');
  writeFileSync(file, `${text}  - { name: views, aggregation: count, windows: [7d] }\n`);
  const { gain, values } = await tryIt(file);
  expect(values.features.map(({ name }) => name)).toContain('user.views_7d');
  expect(gain?.after.rows).toBeGreaterThan(300);
  expect(gain?.after.model.auc).toBeGreaterThan(0.55);
  expect(gain?.before?.model.auc).toBeGreaterThan(0.55);
  // The project itself is as it was.
  expect(readFileSync(join(shop, 'views/user.yaml'), 'utf8')).toBe(text);
  rmSync(file);
});

it('looks at a view that no model reads yet', async () => {
  const file = join(dirname(shop), 'minutes.yaml');
  writeFileSync(
    file,
    'view: visitor\nentity: [user_id]\nsource: page_views\nresolution: 1m\nfeatures:\n  - { name: seen, aggregation: count, windows: [1h] }\n',
  );
  const { values, replaces, gain } = await tryIt(file);
  expect(replaces).toBe(false);
  expect(gain).toBeNull();
  expect(values.features.map(({ name }) => name)).toEqual(['visitor.seen_1h']);
});

it('names what is wrong with a definition, and with a history', async () => {
  const wrong = join(dirname(shop), 'wrong.yaml');
  writeFileSync(
    wrong,
    'view: user\nentity: [user_id]\nsource: page_views\nresolution: 1m\nfeatures:\n  - { name: a, aggregation: mean, of: seconds, windows: [1h] }\n',
  );
  const refused = await millrace(['try', wrong], { cwd: shop, env: NOWHERE });
  expect(refused.code).toBe(2);
  expect(refused.err).toContain("views/wrong.yaml:6:5: 'mean' needs 'scale'");
  const nowhere = await millrace(['try', 'views/user.yaml', '--on', 'page_views=no-such-file.jsonl'], {
    cwd: shop,
    env: NOWHERE,
  });
  expect(nowhere.code).toBe(1);
  const neither = join(dirname(shop), 'neither.yaml');
  writeFileSync(neither, 'source: x\n');
  expect((await millrace(['try', neither], { cwd: shop })).err).toContain('neither a view nor a model');
});

it('tells how many rows a source refused, why, and the first of each', async () => {
  const lines = readFileSync(join(shop, 'history/page_views.jsonl'), 'utf8').trim().split('\n');
  const spoilt = lines.map((line, i) => {
    const record = JSON.parse(line) as Record<string, unknown>;
    return JSON.stringify(i === 6 || i === 9 ? { ...record, page: null } : record);
  });
  const file = join(dirname(shop), 'spoilt.jsonl');
  writeFileSync(file, `${spoilt.join('\n')}\n`);
  const command = ['try', 'views/user.yaml', '--no-gain', '--on', `page_views=${file}`];
  const json = await millrace([...command, '--json'], { cwd: shop, env: NOWHERE });
  const { values } = JSON.parse(json.out) as Pick<Tried, 'values'>;
  expect(values.refused).toMatchObject([
    { source: 'page_views', code: 'missing_field', rows: 2, example: { where: 'row 7' } },
  ]);
  const [{ example } = expect.fail('nothing was refused')] = values.refused;
  expect(JSON.parse(lines[6] ?? '')).toMatchObject({ view_id: example.id });
  expect(example.detail).toContain('page');
  const { out } = await millrace(command, { cwd: shop, env: NOWHERE });
  expect(out).toContain(`refused: 2 of page_views, missing_field: ${example.detail} (row 7, ${example.id})`);
  rmSync(file);
});

describe('the parts', () => {
  it('a summary of one column', () => {
    const rows = Float64Array.from([1, 9, Number.NaN, 9, 3, 9]);
    expect(summaryOf('a', { rows, column: 0, width: 2, length: 3 }, 2)).toEqual({
      name: 'a',
      nulls: 1 - 2 / 3,
      least: 1,
      mean: 2,
      largest: 3,
      last: [null, 3],
    });
    expect(
      summaryOf('a', { rows: Float64Array.from([Number.NaN]), column: 0, width: 1, length: 1 }, 5),
    ).toMatchObject({
      nulls: 1,
      mean: null,
      last: [null],
    });
  });

  it('an overlay replaces by the declared name, whatever the files are called', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-overlay-'));
    mkdirSync(join(directory, 'features'));
    writeFileSync(join(directory, 'project.yaml'), 'name: x\n');
    writeFileSync(join(directory, 'features/one.yaml'), 'view: card\n');
    const file = join(directory, 'other.yaml');
    writeFileSync(file, 'view: card\nentity: [a]\n');
    const overlay = overlayOf(directory, file);
    try {
      expect(overlay).toMatchObject({ kind: 'view', name: 'card', replaces: true, same: false });
      expect(() => readFileSync(join(overlay.directory, 'features/one.yaml'))).toThrow();
      expect(readFileSync(join(overlay.directory, 'views/other.yaml'), 'utf8')).toContain('entity: [a]');
    } finally {
      overlay.remove();
      rmSync(directory, { recursive: true });
    }
  });

  it('a path that counts from the project, not from the current directory, is told apart', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-overlay-'));
    mkdirSync(join(directory, 'views'));
    writeFileSync(join(directory, 'views/of-a-card.yaml'), 'view: card\n');
    try {
      expect(() => overlayOf(directory, 'views/of-a-card.yaml')).toThrow(
        `There is no file ${join(process.cwd(), 'views/of-a-card.yaml')}. A path counts from the current directory; the project has ${join(directory, 'views/of-a-card.yaml')}.`,
      );
      expect(() => overlayOf(directory, 'views/none.yaml')).toThrow(/none\.yaml\.$/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('reads a topic once, leaves out what is no event, and puts it in order of time', async () => {
    const project = loadProject(shop, { environment: {} });
    const source = project.sources.find(({ name }) => name === 'page_views');
    if (source === undefined) throw new Error('no source');
    const clock = { now: () => 0, sleep: async () => {} };
    const broker = createMemoryBroker(clock);
    const kafka = broker.kafka();
    const admin = await kafka.admin();
    const topic = 'views';
    await admin.createTopics([{ name: topic, partitions: 2, retentionMs: -1, compacted: false }]);
    await admin.close();
    const producer = await kafka.producer();
    const send = (partition: number, value: unknown) =>
      producer.send([
        { topic, partition, key: null, value: new TextEncoder().encode(JSON.stringify(value)) },
      ]);
    const view = (id: string, at: number) => ({
      view_id: id,
      at: new Date(at).toISOString(),
      user: { id: 'u1' },
      page: '/',
      seconds: 1,
    });
    await send(0, view('b', 2_000));
    await send(0, 'no json');
    await send(1, view('a', 1_000));
    await send(1, { ...view('c', 3_000), at: 'yesterday' });
    await send(1, { ...view('d', 3_000), at: 'tomorrow' });
    const { file, unread, whereOf } = await readEventsOf(kafka, createMemoryRegistry(), {
      prefix: 'p',
      source,
      topic,
    });
    expect(unread).toMatchObject([
      { source: 'page_views', rows: 3, example: { where: 'partition 0 offset 1', id: null } },
    ]);
    expect(unread[0]?.example.detail).not.toBe('');
    expect(whereOf(1)).toMatch(/^partition [01] offset 0$/);
    const ids: string[] = [];
    for await (const batch of file.read({ from: null, to: null }))
      ids.push(...batch.events.map(({ id }) => id));
    expect(ids).toEqual(['a', 'b']);
    await kafka.close();
  });
});
