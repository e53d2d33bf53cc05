import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Gatekeeper } from '../../api/middleware/authenticate.ts';
import { createBodyBudget } from '../../api/middleware/bodies.ts';
import { createRateLimit } from '../../api/middleware/rate.ts';
import { PROBLEM_TYPE, Problem } from '../../api/problem.ts';
import { ANYBODY, CHANGE, LOOK } from '../../api/roles.ts';
import { type Route, route } from '../../api/route.ts';
import { createServer, type ServerOptions } from '../../api/server.ts';
import { StoreError } from '../../infrastructure/redis/errors.ts';
import { as, testKeys } from './world.ts';

const answers = [{ status: 200, description: 'Yes.', schema: z.object({ said: z.string() }) }];

function routes(): Route[] {
  const get = (path: string, handle: Route['handle'], more: Partial<Route> = {}): Route => ({
    method: 'GET',
    path,
    name: path,
    tag: 'test',
    summary: '',
    access: LOOK,
    answers,
    handle,
    ...more,
  });
  return [
    get('/open', async () => ({ said: 'open' }), { access: ANYBODY }),
    get('/look', async ({ caller }) => ({ said: caller.name })),
    get('/bug', async () => {
      throw new Error('password hunter2 of redis://10.0.0.1');
    }),
    get('/away', async () => {
      throw new StoreError('unreachable', 'Redis at redis.internal:6379 is away.');
    }),
    get('/no', async () => {
      throw new Problem(409, 'as_things_stand', 'Not now.');
    }),
    get('/slow', () => new Promise(() => {}), { timeoutMs: 30 }),
    get('/wrong', async () => ({ said: 1 })),
    route({
      method: 'POST',
      path: '/things/{thing}',
      name: 'postThing',
      tag: 'test',
      summary: '',
      access: CHANGE,
      params: z.strictObject({ thing: z.string().max(5) }),
      query: z.strictObject({ much: z.string().regex(/^\d+$/).optional() }),
      body: { json: z.strictObject({ word: z.string() }) },
      bodyLimit: 200,
      changes: true,
      answers,
      handle: async ({ params, body }) => ({ said: `${params.thing} ${body.word}` }),
    }),
  ];
}

describe('the frame of the HTTP API', () => {
  const opened: Array<{ close(): Promise<unknown> }> = [];
  afterEach(async () => {
    for (const app of opened.splice(0)) await app.close();
  });

  function server(gate: Partial<Gatekeeper> = {}, options: Partial<ServerOptions> = {}) {
    const lines: Array<Record<string, unknown>> = [];
    const say = (level: string) => (fields: object, message: string) =>
      void lines.push({ level, ...fields, message });
    const app = createServer({
      routes: routes(),
      gate: { keys: testKeys(), tokens: null, now: Date.now, ...gate },
      logger: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
      rate: null,
      checkAnswers: true,
      ...options,
    });
    opened.push(app);
    return { app, lines };
  }

  const post = (body: unknown, headers: Record<string, string> = {}) => ({
    method: 'POST' as const,
    url: '/things/one',
    headers: { 'content-type': 'application/json', ...as('operator'), ...headers },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });

  it.each([
    ['nothing', {}, 401],
    ['a wrong key', { authorization: 'Bearer mr-test-nobody' }, 401],
    ['another scheme', { authorization: 'Basic bXI6dGVzdA==' }, 401],
    ['an empty key', { authorization: 'Bearer ' }, 401],
    ['a key without the role', as('producer'), 403],
    ['a key', as('viewer'), 200],
    ['a stronger key', as('admin'), 200],
  ])('lets in who may: %s', async (_, headers, status) => {
    const { app } = server();
    const answer = await app.inject({ url: '/look', headers });
    expect(answer.statusCode).toBe(status);
    if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    expect((await app.inject({ url: '/open', headers: {} })).statusCode).toBe(200);
  });

  it('says nothing of its addresses to a stranger', async () => {
    const { app } = server();
    for (const url of ['/nowhere', '/things/one', '/look/more'])
      expect((await app.inject({ url })).statusCode).toBe(401);
    expect((await app.inject({ url: '/nowhere', headers: as('viewer') })).statusCode).toBe(404);
  });

  it('answers another method with those that there are', async () => {
    const { app } = server();
    const answer = await app.inject({ method: 'DELETE', url: '/things/one', headers: as('admin') });
    expect([answer.statusCode, answer.headers.allow, answer.json().code]).toEqual([
      405,
      'POST',
      'bad_method',
    ]);
  });

  it('answers a method that nobody knows as any other', async () => {
    const { app } = server();
    const answer = await app.inject({ method: 'QUERY' as 'GET', url: '/look', headers: as('admin') });
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'GET']);
  });

  it.each([
    ['/no', 409, 'as_things_stand'],
    ['/bug', 500, 'internal'],
    ['/away', 503, 'unreachable'],
    ['/slow', 504, 'timeout'],
    ['/wrong', 500, 'internal'],
    ['/nowhere', 404, 'no_route'],
    ['/%zz', 400, 'bad_request'],
  ])('says no as problem+json: %s', async (url, status, code) => {
    const { app } = server();
    const answer = await app.inject({ url, headers: { ...as('viewer'), 'x-request-id': 'mine-1' } });
    expect(answer.headers['content-type']).toContain(PROBLEM_TYPE);
    expect(answer.json()).toMatchObject({ type: 'about:blank', status, code, requestId: 'mine-1' });
    expect(answer.headers['x-request-id']).toBe('mine-1');
  });

  it('keeps addresses and secrets of what failed out of its answers, and in its log under the same id', async () => {
    const { app, lines } = server();
    for (const url of ['/bug', '/away']) {
      const answer = await app.inject({ url, headers: as('viewer') });
      expect(answer.body).not.toMatch(/hunter2|redis\./);
      const line = lines.find(
        ({ event, requestId }) => event === 'failed' && requestId === answer.json().requestId,
      );
      expect(String(line?.error)).toMatch(/redis/);
    }
  });

  it('writes the id of the request to every line of its log', async () => {
    const { app, lines } = server();
    await app.inject({ ...post({ word: 'x' }), headers: { ...post({}).headers, 'x-request-id': 'abc' } });
    await app.inject({ url: '/bug', headers: { ...as('viewer'), 'x-request-id': 'bad id \n' } });
    expect(lines.length).toBeGreaterThan(2);
    for (const { requestId } of lines) expect(requestId).toMatch(/^[\w-]+$/);
    expect(lines.find(({ level }) => level === 'info')).toMatchObject({
      requestId: 'abc',
      route: 'postThing',
      caller: 'the operator',
      status: 200,
    });
  });

  it.each([
    ['no JSON', post('{'), 400],
    ['an empty body', post(''), 400],
    ['another member', post({ word: 'x', more: 1 }), 400],
    ['a missing member', post({}), 400],
    ['no object', post([]), 400],
    ['a prototype', post('{"word":"x","__proto__":{"a":1}}'), 400],
    ['another type', post('word=x', { 'content-type': 'application/x-www-form-urlencoded' }), 415],
    ['text', post('{"word":"x"}', { 'content-type': 'text/plain' }), 415],
    ['lines where none are taken', post('{"word":"x"}\n', { 'content-type': 'application/x-ndjson' }), 415],
    ['too much', post({ word: 'x'.repeat(300) }), 413],
    ['an unknown query', { ...post({ word: 'x' }), url: '/things/one?mich=1' }, 400],
    ['a wrong query', { ...post({ word: 'x' }), url: '/things/one?much=a' }, 400],
    ['a repeated query', { ...post({ word: 'x' }), url: '/things/one?much=1&much=2' }, 400],
    ['a wrong path', { ...post({ word: 'x' }), url: '/things/toolong' }, 400],
    ['what fits', post({ word: 'x' }), 200],
  ])('checks what comes: %s', async (_, request, status) => {
    const { app } = server();
    const answer = await app.inject(request);
    expect(answer.statusCode).toBe(status);
    if (status === 415) expect(answer.json().detail).toContain('application/json');
    if (status === 400 && request.payload !== '{') expect(answer.json().errors ?? [{}]).not.toHaveLength(0);
  });

  it('refuses bytes that are no UTF-8', async () => {
    const { app } = server();
    const answer = await app.inject({ ...post(''), payload: Buffer.from([123, 34, 0xff, 34, 125]) });
    expect(answer.statusCode).toBe(400);
  });

  it('says that a packed body is not taken, whatever its type', async () => {
    const { app } = server();
    const packed = await app.inject(post({ word: 'x' }, { 'content-encoding': 'gzip' }));
    expect(packed.json()).toMatchObject({ status: 415, code: 'bad_encoding' });
    expect(packed.json().detail).toContain('content-encoding: gzip');
    expect((await app.inject(post({ word: 'x' }, { 'content-encoding': 'Identity' }))).statusCode).toBe(200);
  });

  it('takes no body from a stranger, whatever its size', async () => {
    const { app } = server();
    const answer = await app.inject({ ...post({ word: 'x'.repeat(300) }), headers: {} });
    expect(answer.statusCode).toBe(401);
  });

  describe('without keys, on this machine', () => {
    it.each([
      ['curl', { host: '127.0.0.1:8420' }, 200],
      ['another name of the machine', { host: 'localhost' }, 200],
      ['IPv6', { host: '[::1]:8420' }, 200],
      [
        'its own page',
        { host: 'localhost:8420', origin: 'http://localhost:8420', 'sec-fetch-site': 'same-origin' },
        200,
      ],
      ['the address bar', { host: 'localhost:8420', 'sec-fetch-site': 'none' }, 200],
      ['a page of another site', { host: 'localhost:8420', origin: 'https://evil.example' }, 403],
      ['a page of another port', { host: 'localhost:8420', origin: 'http://localhost:3000' }, 403],
      ['a sandboxed page', { host: 'localhost:8420', origin: 'null' }, 403],
      ['a cross-site image', { host: 'localhost:8420', 'sec-fetch-site': 'cross-site' }, 403],
      ['a sibling site', { host: 'localhost:8420', 'sec-fetch-site': 'same-site' }, 403],
      ['a name made to point here', { host: 'evil.example' }, 421],
      ['a name that begins like one of ours', { host: '127.0.0.1.evil.example' }, 421],
      ['an address with a user', { host: 'localhost@evil.example' }, 421],
    ])('%s', async (_, headers, status) => {
      const { app } = server({ keys: null });
      expect((await app.inject({ url: '/look', headers })).statusCode).toBe(status);
      const posted = await app.inject({
        ...post({ word: 'x' }),
        headers: { 'content-type': 'application/json', ...headers },
      });
      expect(posted.statusCode).toBe(status);
    });
  });

  it('answers no preflight: other origins may not call', async () => {
    const { app } = server();
    const answer = await app.inject({
      method: 'OPTIONS',
      url: '/things/one',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    expect(answer.statusCode).toBe(401);
    for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^access-control/);
  });

  it('limits the rate of one caller, and tells when to come back', async () => {
    const { app } = server({}, { rate: { perSecond: 1, burst: 2 } });
    const statuses = [];
    for (let i = 0; i < 4; i += 1)
      statuses.push((await app.inject({ url: '/look', headers: as('viewer') })).statusCode);
    expect(statuses).toEqual([200, 200, 429, 429]);
    const other = await app.inject({ url: '/look', headers: as('operator') });
    expect(other.statusCode).toBe(200);
    const again = await app.inject({ url: '/look', headers: as('viewer') });
    expect(Number(again.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  });

  it('limits guesses of keys', async () => {
    const { app } = server({}, { rate: { perSecond: 1_000, burst: 1_000 } });
    const statuses = new Set<number>();
    for (let i = 0; i < 40; i += 1) statuses.add((await app.inject({ url: '/look' })).statusCode);
    expect([...statuses]).toEqual([401, 429]);
  });
});

describe('the rate of a caller', () => {
  it('fills up with time, to its burst and no further', () => {
    let now = 0;
    const wait = createRateLimit({ perSecond: 10, burst: 3 }, () => now);
    expect([wait('a'), wait('a'), wait('a'), wait('a')]).toEqual([0, 0, 0, 100]);
    now = 100;
    expect([wait('a'), wait('a')]).toEqual([0, 100]);
    now = 1e6;
    expect([wait('a'), wait('a'), wait('a'), wait('a')]).toEqual([0, 0, 0, 100]);
    // A clock that goes back gives nothing and takes nothing.
    now = 0;
    expect(wait('a')).toBe(100);
  });
});

describe('the room for bodies', () => {
  it('is shared by all, and given back', () => {
    const budget = createBodyBudget(100);
    const closers: Array<() => void> = [];
    const response = { once: (_: string, close: () => void) => closers.push(close) } as never;
    budget.hold({ 'content-length': '60' }, 1_000, response);
    expect(() => budget.hold({ 'content-length': '60' }, 1_000, response)).toThrow(/large requests/);
    // Of unknown length: as much as the route takes.
    expect(() => budget.hold({ 'transfer-encoding': 'chunked' }, 50, response)).toThrow(/large requests/);
    for (const close of closers) close();
    expect(budget.held).toBe(0);
  });
});
