import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { projectFiles } from '../../../cli/init/files.ts';
import { observe } from '../../../cli/init/observe.ts';
import { NoProposal } from '../../../cli/init/paths.ts';
import { identifier, type Proposal, propose, type Wishes } from '../../../cli/init/propose.ts';
import { exampleOf } from '../../../cli/init/schema-example.ts';
import { eventsOf } from '../../../client/project.ts';
import { loadProject } from '../../../config/load.ts';
import type { Project } from '../../../schemas/project.ts';

const home = mkdtempSync(join(tmpdir(), 'millrace-init-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const proposed = (records: readonly unknown[], wishes: Partial<Wishes> = {}): Proposal =>
  propose(observe(records), { name: 'events', predict: null, ...wishes });

let made = 0;
/** Writes the project and loads it: throws where it does not check. */
function project(proposal: Proposal): { readonly directory: string; readonly project: Project } {
  const directory = join(home, String(made++));
  for (const [path, text] of projectFiles(proposal, '0.1.0')) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return { directory, project: loadProject(directory, { environment: {} }) };
}

const VIEW = {
  view_id: 'v1',
  at: '2026-01-31T12:00:00Z',
  user: { id: 'u017', country: 'DE' },
  page: '/cart',
  seconds: 4.2,
  mobile: true,
};
const READING = { sensor: 's-12', ts: 1_769_860_800, temperature: 21.5, humidity: 40, room: 'kitchen' };

describe('page views, from one record', () => {
  const proposal = proposed([VIEW], { name: 'pageViews', predict: 'bought' });

  it('finds time, id, key and fields', () => {
    expect(proposal.time).toEqual({ path: 'at', unit: 'iso' });
    expect(proposal.id).toEqual({ path: 'view_id', seen: true, type: 'string' });
    expect(proposal.key).toBe('user_id');
    expect(proposal.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'user_id string',
      'user_country string',
      'page string',
      'seconds double',
      'mobile bool',
    ]);
    expect(proposal.views.map(({ name }) => name)).toEqual(['user', 'page']);
    expect(proposal.types).toEqual(['page_view']);
  });

  it('writes a project that checks, with a model that learns from what becomes known', () => {
    const { models, sources } = project(proposal).project;
    expect(sources.map(({ name }) => name)).toEqual(['bought_outcomes', 'page_views']);
    expect(models[0]?.label.join).toEqual([{ label: 'page_view_id', request: 'page_view_id' }]);
    expect(models[0]?.features.length).toBeGreaterThan(20);
  });

  it('writes a generator of events that the sources take, the same from the same seed', async () => {
    const { directory, project: loaded } = project(proposal);
    const { generate } = (await import(pathToFileURL(join(directory, 'generate.mjs')).href)) as {
      generate(options: object): { events: unknown[]; outcomes: Array<{ bought: boolean }> };
    };
    const options = { seed: 3, days: 2, perDay: 300, until: Date.UTC(2026, 0, 15) };
    const { events, outcomes } = generate(options);
    expect(events).toHaveLength(600);
    const mapped = eventsOf(loaded, 'page_views', events);
    expect(mapped.every(({ user_id, page }) => typeof user_id === 'string' && typeof page === 'string')).toBe(
      true,
    );
    expect(new Set(mapped.map(({ user_id }) => user_id)).size).toBeGreaterThan(50);
    const known = eventsOf(loaded, 'bought_outcomes', outcomes);
    expect(new Set(known.map(({ page_view_id }) => page_view_id)).size).toBe(known.length);
    const share = outcomes.filter(({ bought }) => bought).length / outcomes.length;
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.9);
    expect(generate(options)).toEqual({ events, outcomes });
  });

  it('the generator writes the files that `import` reads', () => {
    const { directory } = project(proposal);
    const said = execFileSync(process.execPath, ['generate.mjs', '--per-day', '20'], {
      cwd: directory,
      encoding: 'utf8',
    });
    expect(said).toContain('280 records in history/page_views.jsonl');
  });

  it('does not show the model what it should predict', () => {
    const known = proposed([{ ...VIEW, bought: true }], { predict: 'bought' });
    expect(known.fields.map(({ name }) => name)).not.toContain('bought');
    expect(known.notes.join(' ')).toContain('bought is left out');
    project(known);
  });
});

const RENTAL = {
  rental_id: 'r1001',
  taken_at: '2026-11-30T16:20:00Z',
  bike: 'b77',
  rider: { id: 'u42', member: true },
  battery: 0.83,
};

describe('the id of an event', () => {
  const proposal = proposed([RENTAL], { name: 'rentals', predict: 'late' });

  it('is a field named as the events are, and the person is told', () => {
    expect(proposal.id).toEqual({ path: 'rental_id', seen: true, type: 'string' });
    expect(proposal.fields.map(({ name }) => name)).not.toContain('rental_id');
    expect(proposal.views.map(({ name }) => name)).not.toContain('rental');
    expect(proposal.notes.join(' ')).toContain('rental_id is taken for the id');
    const { sources } = project(proposal).project;
    const [outcomes, rentals] = sources;
    expect(rentals?.format).toMatchObject({
      mapping: { id: 'rental_id', fields: { rental_id: 'rental_id' } },
    });
    expect([outcomes, rentals].map((one) => one?.deduplicate)).not.toContain(null);
  });

  it('is the number of an order, whatever the events are called', () => {
    const order = { order_no: 7_001, created: 1_796_050_000_000, customer: 'c1', total: 59.9 };
    expect(proposed([order], { name: 'shop' }).id).toEqual({ path: 'order_no', seen: true, type: 'int' });
  });

  it('is not the number of an order that several types of event share, nor the key', () => {
    const placed = { type: 'order.placed', order_no: 1, created: 1_796_050_000_000, customer: 'c1' };
    expect(proposed([placed], { name: 'orders' }).id.seen).toBe(false);
    expect(proposed([RENTAL], { name: 'rentals', key: 'rental_id' }).id.seen).toBe(false);
  });

  it('is what the person names, if every record has it', () => {
    const records = [{ ...RENTAL, slip: 'x1' }, RENTAL];
    expect(proposed(records.slice(0, 1), { name: 'rentals', id: 'slip' }).id.path).toBe('slip');
    expect(() => proposed(records, { name: 'rentals', id: 'slip' })).toThrow('slip cannot be the id');
    expect(() => proposed(records, { name: 'rentals', id: 'sleep' })).toThrow("no 'sleep' for the id");
  });

  it('the README asks a first prediction by HTTP, with what the model takes', () => {
    const readme = projectFiles(proposal, '0.1.0').get('README.md') ?? '';
    const bodies = [...readme.matchAll(/v1\/(\S+) .* -d '(.*)'/g)].map(([, path, body]) => [
      path,
      JSON.parse(body ?? '') as object,
    ]);
    expect(bodies.slice(0, 3)).toEqual([
      ['events/rentals', expect.objectContaining({ rental_id: 'e-1', bike: 'text' })],
      ['models/late/predict', { request: expect.objectContaining({ bike: 'text', rider_member: true }) }],
      ['events/late_outcomes', { rental_id: 'e-1', late: true }],
    ]);
  });
});

describe('temperature sensors, from one record', () => {
  const proposal = proposed([READING], { name: 'readings', predict: 'failure' });

  it('reads seconds, misses the id, and keeps room for the cold', () => {
    expect(proposal.time).toEqual({ path: 'ts', unit: 's' });
    expect(proposal.id.seen).toBe(false);
    expect(proposal.notes.join(' ')).toContain('No id');
    expect(proposal.key).toBe('sensor');
    const range = (name: string) => proposal.fields.find((field) => field.name === name)?.measure?.range;
    expect(range('temperature')?.[0]).toBeLessThan(-50);
    expect(range('humidity')?.[0]).toBe(0);
  });

  it('checks', () => {
    expect(project(proposal).project.models).toHaveLength(1);
  });
});

describe('many records', () => {
  const many = Array.from({ length: 60 }, (_, n) => ({
    id: 1_000 + n,
    type: n % 3 === 0 ? 'order.paid' : 'order.placed',
    // Every seventh comes 20 s late.
    createdAt: 1_769_860_800_000 + n * 1_000 - (n % 7 === 0 ? 20_000 : 0),
    customer: { token: `c_${n % 9}` },
    items: [1, 2],
    total: n % 2 === 0 ? 12 : 12.345,
    retries: n % 4,
    note: n === 5 ? 7 : 'text',
    ...(n > 30 ? { coupon: 'SPRING' } : {}),
  }));
  const proposal = proposed(many, { name: 'orders', predict: 'returned' });

  it('tell types, decimals, what is always there, and disorder', () => {
    expect(proposal.time).toEqual({ path: 'createdAt', unit: 'ms' });
    expect(proposal.id).toEqual({ path: 'id', seen: true, type: 'int' });
    expect(proposal.types).toEqual(['order.placed', 'order.paid']);
    expect(proposal.outOfOrderness).toBe('1m');
    const fields = new Map(proposal.fields.map((field) => [field.name, field]));
    expect(fields.get('total')).toMatchObject({ type: 'double', required: true, measure: { scale: 1_000 } });
    expect(fields.get('retries')?.type).toBe('int');
    expect(fields.get('coupon')?.required).toBe(false);
    expect(proposal.key).toBe('customer_token');
    expect(proposal.notes.join(' ')).toMatch(/items is left out.*note is left out/);
    project(proposal);
  });
});

describe('what a person says counts', () => {
  it('key and time by their paths', () => {
    const named = proposed([{ ...VIEW, seen: 1_769_860_800_000 }], { key: 'page', time: 'seen' });
    expect(named.key).toBe('page');
    expect(named.time).toEqual({ path: 'seen', unit: 'ms' });
    project(named);
  });

  it.each([
    [{ ...VIEW, at: '2026-01-31T12:00:00' }, {}, /no time zone/],
    [{ user: 'a', at: 1_769_860_800_000_000 }, {}, /microseconds/],
    [{ user: 'a' }, {}, /No time was found/],
    [VIEW, { key: 'nobody' }, /no 'nobody' for the key; it has/],
    [VIEW, { time: 'page' }, /page holds no time/],
    [{ at: '2026-01-31T12:00:00Z', x: 1.5 }, {}, /No field can be the key/],
    [VIEW, { predict: '???' }, /makes no name/],
    [{}, {}, /no values/],
  ] as const)('refuses with a sentence: %j %j', (record, wishes, sentence) => {
    expect(() => proposed([record], wishes)).toThrow(sentence);
    expect(() => proposed([record], wishes)).toThrow(NoProposal);
  });

  it.each([
    ['pageViews', 'page_views'],
    ['Page Views!', 'page_views'],
    ['2nd', 'n2nd'],
    ['a.b-c', 'a_b_c'],
  ])('%s becomes %s', (text, name) => expect(identifier(text)).toBe(name));
});

it('whatever a record holds, the project checks or a sentence says why there is none', () => {
  const names = fc.oneof(
    fc.constantFrom(
      'id',
      'type',
      'time',
      'in',
      'user',
      'userId',
      'a b',
      'Amount',
      'events',
      'since',
      'value',
      '0',
      'x-y',
      'hour',
      'number',
      'user_2',
      'bought',
      'card.token',
      'created_at',
    ),
    fc.string({ minLength: 1, maxLength: 8 }),
  );
  const scalar = fc.oneof(
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom('2026-01-31T12:00:00Z', 1_769_860_800_000),
  );
  const record = fc.dictionary(
    names,
    fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.dictionary(names, scalar, { maxKeys: 4 })),
    {
      maxKeys: 8,
    },
  );
  let projects = 0;
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), fc.boolean(), (records, predicts) => {
      const whole = records.map((one) => ({ who: 'u1', when: '2026-01-31T12:00:00Z', ...one }));
      let proposal: Proposal;
      try {
        proposal = proposed(whole, { predict: predicts ? 'bought' : null });
      } catch (error) {
        expect(error).toBeInstanceOf(NoProposal);
        return;
      }
      project(proposal);
      projects += 1;
    }),
    { numRuns: 150 },
  );
  expect(projects).toBeGreaterThan(50);
});

it('an example of an Avro schema has a value for each field', () => {
  const schema = {
    type: 'record',
    name: 'Reading',
    fields: [
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'sensor', type: ['null', 'string'], default: null },
      { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['warm', 'cold'] } },
      { name: 'other', type: ['null', 'Kind'] },
      { name: 'tags', type: { type: 'array', items: 'string' } },
      { name: 'value', type: 'double' },
    ],
  };
  expect(exampleOf(schema)).toEqual({
    at: Date.UTC(2026, 0, 1),
    sensor: 'text',
    kind: 'warm',
    other: 'warm',
    tags: [],
    value: 1.5,
  });
});
