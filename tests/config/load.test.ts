import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeProject } from '../../config/check.ts';
import { loadProject } from '../../config/load.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { DAY, MINUTE } from '../../schemas/time.ts';
import { edited, FILES, load } from './project.ts';

const P = 'project.yaml';
const M = 'models/returns.yaml';
const flights = loadProject(fileURLToPath(new URL('../../config', import.meta.url)), { environment: {} });

describe('loadProject', () => {
  it('takes prefix, partitions and connections from its options', () => {
    const kafka = { brokers: ['k:1'], tls: false, sasl: null };
    const project = load(FILES, { prefix: 'run-7', partitions: 8, connections: { kafka } });
    expect(project.prefix).toBe('run-7');
    expect(project.sources[0]?.partitions).toBe(8);
    expect(project.views[0]?.partitions).toBe(8);
    expect(project.connections.kafka).toEqual(kafka);
    expect(project.connections.redis.url).toBe('redis://localhost:6379');
    expect(load(FILES).prefix).toBe('shop');
  });

  it('takes the connections of a loaded project again, frozen as they are', () => {
    const { connections } = load(FILES);
    expect(Object.isFrozen(connections.redis)).toBe(true);
    // `apply` loads the definition of before with the connections of now.
    expect(load(FILES, { connections }).connections).toEqual(connections);
  });

  it('reads secrets from the environment it is handed, and from files of the project', () => {
    const files = {
      'connections.yaml': `
kafka:
  brokers: \${env:BROKERS}
  tls: {ca: "\${file:certs/ca.pem}", key: "\${env:KEY}"}
  sasl: {mechanism: scram-sha-512, username: u, password: "\${env:PW}"}
redis: {url: "rediss://:\${env:PW}@r:1"}
registry: {url: "http://g:1", username: "\${env:NOBODY:-}"}
clickhouse: {url: "http://c:1", password: "\${env:PW:-}"}
`,
      'certs/ca.pem': 'CA',
    };
    const environment = { BROKERS: 'a:1, b:2', KEY: 'K', PW: 'secret' };
    const { connections } = load({ ...FILES, ...files }, { environment });
    expect(connections).toEqual({
      kafka: {
        brokers: ['a:1', 'b:2'],
        tls: { ca: 'CA', key: 'K' },
        sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'secret' },
      },
      redis: { url: 'rediss://:secret@r:1' },
      registry: { url: 'http://g:1' },
      clickhouse: { url: 'http://c:1', database: 'default', password: 'secret' },
      queue: { url: 'rediss://:secret@r:1' },
      receivers: {},
      allowPrivate: [],
      mlflow: null,
    });
  });

  it('reads how a Redis is reached: user, encryption, Sentinels; the queue lies there too', () => {
    const files = {
      'connections.yaml': `
redis:
  url: redis://a:26379,b:26379
  username: store
  password: "\${env:PW}"
  tls: {ca: "\${file:certs/ca.pem}", cert: "\${env:CERT}", key: "\${env:KEY}", servername: r.example}
  sentinel: {primary: main, username: "\${env:NOBODY:-}", password: "\${env:PW2}"}
`,
      'certs/ca.pem': 'CA',
    };
    const environment = { PW: 'secret', PW2: 'secret2', CERT: 'C', KEY: 'K' };
    const { connections } = load({ ...FILES, ...files }, { environment });
    const redis = {
      url: 'redis://a:26379,b:26379',
      username: 'store',
      password: 'secret',
      tls: { ca: 'CA', cert: 'C', key: 'K', servername: 'r.example' },
      sentinel: { primary: 'main', password: 'secret2' },
    };
    expect(connections).toMatchObject({ redis, queue: redis });
    expect(JSON.stringify(connections)).not.toMatch(/secret/);
    const plain = { ...files, 'connections.yaml': `redis: {url: "redis://r:1", tls: "\${env:TLS}"}` };
    expect(load({ ...FILES, ...plain }, { environment: { TLS: 'true' } }).connections.redis).toEqual({
      url: 'redis://r:1',
      tls: true,
    });
  });

  it('takes the defaults for what connections.yaml does not say', () => {
    const receivers = "receivers: {oncall: {webhook: 'https://example.com/a'}}\n";
    const only = (text: string, environment = {}) =>
      load({ ...FILES, 'connections.yaml': text }, { environment }).connections;
    const none = load(FILES).connections;
    expect(none).toMatchObject({
      kafka: { brokers: ['localhost:9092'], tls: false, sasl: null },
      redis: { url: 'redis://localhost:6379' },
      registry: { url: 'http://localhost:8081' },
      clickhouse: { url: 'http://localhost:8123', database: 'default' },
      queue: { url: 'redis://localhost:6379' },
    });
    expect(only(receivers)).toEqual({
      ...none,
      receivers: { oncall: { kind: 'webhook', url: 'https://example.com/a', secret: null } },
    });
    expect(only('')).toEqual(none);
    expect(only('# nothing yet\nkafka:\n')).toEqual(none);
    expect(only('clickhouse: {database: shop}\nkafka: {tls: true}\n')).toEqual({
      ...none,
      clickhouse: { ...none.clickhouse, database: 'shop' },
      kafka: { ...none.kafka, tls: true },
    });
    // What the file does not say still comes from the environment.
    const environment = { KAFKA_BROKERS: 'k1:9092,k2:9092', REDIS_URL: 'redis://r:1', PW: 'x' };
    expect(only(`registry: {username: u, password: "\${env:PW}"}\n`, environment)).toEqual({
      ...none,
      kafka: { ...none.kafka, brokers: ['k1:9092', 'k2:9092'] },
      redis: { url: 'redis://r:1' },
      queue: { url: 'redis://r:1' },
      registry: { url: 'http://localhost:8081', username: 'u', password: 'x' },
    });
  });

  it('is frozen all the way down, functions aside', () => {
    const thawed: string[] = [];
    const visit = (value: unknown, path: string) => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value)) thawed.push(path);
      for (const [key, one] of Object.entries(value)) visit(one, `${path}.${key}`);
    };
    visit(load(FILES), 'project');
    expect(thawed).toEqual([]);
  });

  it('has one hash for one set of declarations, connections aside', () => {
    const { hash } = load(FILES);
    expect(load(FILES, { prefix: 'other', environment: { REDIS_URL: 'redis://x:1' } }).hash).toBe(hash);
    expect(load({ ...FILES, ...edited(M, '1d', '2d') }).hash).not.toBe(hash);
  });

  it('reads a mapping, and gives each field that is not in it its own name', () => {
    const mapping =
      'key: order_id\n    format: {json: {id: meta.id, type: {constant: order.placed}, time: {path: t, unit: s}, fields: {amount: sum.value}}}';
    const { format } =
      load({ ...FILES, ...edited('project.yaml', 'key: order_id', mapping) }).sources[0] ?? {};
    expect(format).toMatchObject({
      kind: 'json',
      mapping: {
        id: 'meta.id',
        type: { constant: 'order.placed' },
        time: { path: 't', unit: 's' },
        fields: { amount: 'sum.value', items: 'items' },
      },
    });
  });
});

describe('models', () => {
  const model = (to: string) => load({ ...FILES, ...edited(M, 'per_item: amount / items', to) }).models[0];
  const evaluate = (to: string, name: string, scope: Record<string, never>) => {
    const feature = model(to)?.features.find((one) => one.name === name);
    return feature?.kind === 'on_demand' ? feature.evaluate(scope) : undefined;
  };

  it('name stored features by read, in the order of their list', () => {
    expect(model('twice: amount * 2')?.features.map((feature) => feature.name)).toEqual([
      'customer.orders_1h',
      'customer.orders_1d',
      'customer.spent_sum_1d',
      'customer.spent_mean_1d',
      'amount',
      'twice',
    ]);
  });

  it('let features use one another and the reads, in any order', () => {
    const to = 'ratio: half / customer.spent_mean_1d\n  - half: amount / 2';
    const scope = { amount: 30, customer: { spent_mean_1d: 5 } } as unknown as Record<string, never>;
    expect(evaluate(to, 'ratio', scope)).toBe(3);
    expect(evaluate(to, 'half', scope)).toBe(15);
    expect(evaluate(to, 'ratio', { ...scope, customer: { spent_mean_1d: null } } as never)).toBeNull();
  });

  it('tell the truth by their label alone', () => {
    const { label } = model('twice: amount * 2') ?? {};
    const event = { id: '1', time: 0, amount: 5 };
    expect(label?.evaluate({ ...event, type: 'order.returned' })).toBe(true);
    expect(label?.evaluate({ ...event, type: 'order.returned', amount: null })).toBeNull();
    expect(label?.evaluate({ ...event, type: 'order.placed' })).toBeNull();
    expect(label).toMatchObject({ join: [{ label: 'order_id', request: 'order_id' }], maturity: DAY });
    expect(label).toMatchObject({ within: null, which: 'first' });
    const declared = load({ ...FILES, ...edited(M, 'maturity: 1d', 'within: 2d, which: last') }).models[0]
      ?.label;
    expect(declared).toMatchObject({ within: 2 * DAY, which: 'last' });
  });
});

describe('the flights project', () => {
  const [source] = flights.sources;
  const good: EventRecord = {
    id: 'f:departed',
    type: 'flight.departed',
    time: Date.UTC(2001, 2, 23, 20, 5),
    flight_id: 'f',
    origin: 'ORD',
    destination: 'DEN',
    distance: 888,
    delay: null,
    departed_at: Date.UTC(2001, 2, 23, 20, 5),
    local_time: '2001-03-23T14:05',
    zone: 'America/Chicago',
  };
  const failing = (change: Partial<EventRecord>) => {
    const event = { ...good, ...change } as EventRecord;
    const type = source?.events.find((one) => one.name === event.type);
    return type?.rules.filter((rule) => rule.passes(event) !== true).map((rule) => rule.name);
  };

  it.each([
    [{}, []],
    [{ zone: '' }, ['known_airport', 'local_time_exists']],
    [{ local_time: '2001-04-01T02:30' }, ['local_time_exists']],
    [{ distance: 9 }, ['distance_in_range']],
    [{ distance: 6001 }, ['distance_in_range']],
    [{ destination: 'ORD' }, ['two_airports']],
    [{ type: 'flight.arrived', delay: 12 }, []],
    [{ type: 'flight.arrived', delay: -121 }, ['delay_in_range']],
    [{ type: 'flight.arrived', delay: 1801 }, ['delay_in_range']],
  ])('refuses %o by %o', (change, rules) => {
    expect(failing(change)).toEqual(rules);
  });

  it('counts a delay between -60 and 300, and late from 16', () => {
    const origin = flights.views.find((view) => view.name === 'origin');
    const inputs = (delay: number) =>
      origin?.inputs.map((input) => input.evaluate({ ...good, type: 'flight.arrived', delay }));
    expect(inputs(-90)).toEqual([0, -60, null]);
    expect(inputs(15)).toEqual([0, 15, null]);
    expect(inputs(16)).toEqual([1, 16, null]);
    expect(inputs(900)).toEqual([1, 300, null]);
    expect(origin?.inputs.map((input) => input.evaluate(good))).toEqual([null, null, 1]);
  });

  it('has a vector of 45 features, the origin clock among them', () => {
    const [model] = flights.models;
    expect(model?.features).toHaveLength(45);
    const hour = model?.features.find((feature) => feature.name === 'local_hour');
    const scope = { ...good, origin: {} } as never;
    expect(hour?.kind === 'on_demand' && hour.evaluate(scope)).toBeCloseTo(14 + 5 / 60, 12);
    expect(model?.reads.find((read) => read.name === 'reverse')?.key).toEqual(['destination', 'origin']);
    expect(model?.training).toEqual({ from: Date.UTC(2001, 0, 8), to: Date.UTC(2001, 4, 14) });
  });

  it('is described: hops, edges, tiles, and what a flush costs', () => {
    const described = describeProject(flights);
    expect(described.recordsPerFlush).toBe(12);
    expect(described.warnings).toEqual([]);
    expect(described.remarks).toContainEqual(
      expect.stringMatching(/^The slice origin of the model late_arrival .* 500 largest .* origin=other\.$/),
    );
    const route = described.views.find((view) => view.id.startsWith('route@'));
    expect(route?.windows.find((window) => window.length === '1d')).toEqual({
      set: 'windows',
      length: '1d',
      hop: '1h',
      edgePercent: 4.1,
    });
    const daily = described.views.find((view) => view.id.startsWith('route_daily@'));
    expect(daily?.worstTiles).toBeGreaterThan(10_000);
    expect(daily?.worstTiles).toBeLessThan(12_000);
    expect(flights.views.find((view) => view.name === 'route')?.readDelay).toBe(MINUTE);
  });

  it('says what a source does about repeats and silent partitions, and what that costs', () => {
    const { sources, remarks } = describeProject(load(FILES));
    expect(sources[0]).toMatchObject({ idleAfter: '1m', deduplicate: null });
    expect(remarks.filter((one) => one.includes('orders'))).toHaveLength(2);
    expect(remarks[0]).toMatch(/^Nothing recognises an event of orders that comes twice/);
    expect(remarks[1]).toMatch(/^A partition of orders that is silent for 1m \(the default/);
    const said = edited(
      P,
      'out_of_orderness: 1m',
      'out_of_orderness: 1m\n    idle_after: 10m\n    deduplicate: {within: 10m}',
    );
    const declared = describeProject(load({ ...FILES, ...said }));
    expect(declared.sources[0]).toMatchObject({
      idleAfter: '10m',
      deduplicate: { within: '10m', atMost: 1_000_000, bytes: 2 ** 26, readBack: 2_000_000 },
    });
    expect(declared.remarks[0]).toContain('67 MB over its 2 partitions');
    expect(declared.remarks[1]).toMatch(
      /^A partition of orders is waited for until it has been silent for 10m/,
    );
  });

  it('warns of many tiles and of a view that nobody reads', () => {
    const many = edited('views/customer.yaml', 'windows: [1d]', 'times: 10, stretches: {near: [-10m, 10m]}');
    const { [M]: _, ...files } = { ...FILES, ...many };
    const { warnings } = describeProject(load(files));
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/can have 14,\d+ tiles \(more than 12,000; at 50,000 the view is refused\)/);
    expect(warnings[1]).toMatch(/^No model reads the view customer@/);
  });

  it('warns of a label whose keys do not tell one request from the next', () => {
    const joined = (join: string) =>
      describeProject(load({ ...FILES, ...edited(M, 'join: [order_id]', `join: ${join}`) })).warnings;
    for (const join of ['[customer]', '[customer, items]', '{customer: customer}'])
      expect(joined(join)).toEqual([
        expect.stringMatching(/^The label of the model returns is joined by customer/),
      ]);
    for (const join of ['[order_id]', '{order_id: id}', '{customer: id}']) expect(joined(join)).toEqual([]);
  });
});
