import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLES, type Role } from '../../api/roles.ts';
import { loadProject } from '../../config/load.ts';
import { removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { registerVersion } from '../../pipelines/rollout/moves.ts';
import { openServers, type Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { artefactFor } from '../simulation/versions.ts';
import { testStack } from '../stack.ts';
import { startStreams } from '../start-streams.ts';
import { writeProject } from '../trips/project.ts';
import { installSchemathesis } from './schemathesis.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'cli/millrace.ts');

const until = async <T>(what: string, look: () => Promise<T | undefined>, ms = 30_000): Promise<T> => {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${what} did not come`);
};

/** `millrace api` as a process of its own. */
interface Served {
  readonly url: string;
  readonly child: ChildProcess;
  readonly log: string;
  readonly ended: Promise<number | null>;
}

describe('the HTTP API on real servers', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-api-'));
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  const keys = new Map<Role, string>();
  const children: ChildProcess[] = [];
  // Old enough that their tiles are closed when later ones have come.
  const start = Math.floor((Date.now() - 15 * MINUTE) / MINUTE) * MINUTE;
  let project: Project;
  let platform: Platform;
  let variables: Record<string, string>;
  let api: Served;

  const millrace = (...parameters: string[]): string =>
    execFileSync(
      process.execPath,
      [PROGRAM, ...parameters, '--project', directory, '--prefix', prefix, '--json'],
      {
        encoding: 'utf8',
        env: { ...process.env, ...variables, MILLRACE_DATA: directory },
      },
    );

  function serve(name: string, ...options: string[]): Promise<Served> {
    const log = join(directory, `${name}.log`);
    const errors = openSync(`${log}.err`, 'w');
    const child = spawn(
      process.execPath,
      [
        PROGRAM,
        'api',
        '--port',
        '0',
        '--log',
        log,
        ...options,
        '--project',
        directory,
        '--prefix',
        prefix,
        '--json',
      ],
      {
        stdio: ['ignore', errors, errors, 'ipc'],
        env: { ...process.env, ...variables, MILLRACE_DATA: directory, MILLRACE_DEBUG: '1' },
      },
    );
    children.push(child);
    const ended = new Promise<number | null>((done) => child.once('exit', done));
    return new Promise((ready, fail) => {
      child.once('message', (message) => ready({ url: (message as { url: string }).url, child, log, ended }));
      void ended.then((code) =>
        fail(new Error(`the API ended with ${code}: ${readFileSync(`${log}.err`, 'utf8')}`)),
      );
    });
  }

  const call = (
    method: string,
    path: string,
    role: Role | null,
    body?: object | string,
    type = 'application/json',
  ) =>
    fetch(`${api.url}${path}`, {
      method,
      headers: {
        ...(role === null ? {} : { authorization: `Bearer ${keys.get(role)}` }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
  const ask = async (method: string, path: string, role: Role, body?: object | string, type?: string) => {
    const answer = await call(method, path, role, body, type);
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };

  const trip = (i: number, more: object = {}) => ({
    id: `t${i}`,
    type: 'trip.started',
    time: start + i * 5 * SECOND,
    car: `car-${i % 7}`,
    zone: `z${i % 3}`,
    ...more,
  });

  beforeAll(async () => {
    const stack = await testStack();
    variables = {
      KAFKA_BROKERS: stack.kafka.join(','),
      REDIS_URL: stack.redis,
      REGISTRY_URL: stack.registry,
      CLICKHOUSE_URL: stack.clickhouse,
      HOOK_PORT: '9',
    };
    writeProject(directory);
    project = loadProject(directory, { environment: variables, prefix });
    platform = openServers(project, { artefacts: join(directory, 'artefacts') });
    millrace('apply');
    const [model] = project.models;
    if (model === undefined) throw new Error('the project has a model');
    const registry = createModelRegistry({
      kafka: platform.kafka,
      codec: (await platform.codecs()).models,
      prefix,
    });
    for (const [seed, as] of [
      [1, 'champion'],
      [2, 'candidate'],
    ] as const) {
      const { bytes, layout } = artefactFor(model, seed);
      const { sha256, location } = await platform.artefacts.put(bytes);
      await registerVersion(
        registry,
        { model: model.name, artefact: sha256, location, layout, as },
        { by: 'test', reason: 'test' },
      );
    }
    for (const role of ROLES)
      keys.set(role, JSON.parse(millrace('keys', 'create', `the ${role}`, '--role', role)).key);
    children.push(
      await startStreams(['ingest', 'features', 'inference', 'archive'], {
        project: directory,
        prefix,
        data: directory,
        variables,
        log: 'ignore',
      }),
    );
    api = await serve('api', '--rate', '0');
    const lines = Array.from({ length: 120 }, (_, i) => JSON.stringify(trip(i))).join('\n');
    const sent = await ask('POST', '/v1/events/trips', 'producer', lines, 'application/x-ndjson');
    expect(sent).toMatchObject({ status: 202, body: { accepted: 120, refused: 0 } });
  });

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await removeTables(platform.warehouse, prefix).catch(() => {});
    const admin = await platform.kafka.admin();
    await admin.deleteTopics(topicSpecs(project).map(({ name }) => name)).catch(() => {});
    await admin.close();
    await platform.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('a prediction that was asked is the stream’s, bit for bit, and is archived', async () => {
    const event = trip(118, { id: 'twice' });
    const streamed = await ask('POST', '/v1/events/trips', 'producer', event);
    expect(streamed.status).toBe(202);
    const record = await until('the answer of the stream', async () => {
      const { body } = await ask('GET', '/v1/models/cost/predictions?request=twice', 'viewer');
      return body.predictions.find(({ asked }: { asked: boolean }) => !asked);
    });
    const asked = await ask('POST', '/v1/models/cost/predict', 'viewer', { request: event, vector: true });
    expect(asked).toMatchObject({ status: 200, body: { status: 'scored', modelVersion: 1 } });
    const explained = (await ask('GET', '/v1/models/cost/predictions/twice', 'viewer')).body;
    expect(explained.same).toBe(true);
    expect(asked.body.reads.map(({ asOf }: { asOf: number }) => asOf)).toEqual(
      explained.reads.map(({ asOf }: { asOf: number }) => asOf),
    );
    expect(Object.is(asked.body.score, record.score)).toBe(true);
    expect(Object.is(asked.body.score, explained.recomputed)).toBe(true);
    await until('its row', async () => {
      const { body } = await ask('GET', '/v1/models/cost/predictions?request=twice', 'viewer');
      return body.predictions.length === 2 ? true : undefined;
    });
  });

  it('features read live are those of the history', async () => {
    const at = start + 8 * MINUTE;
    const live = await until('the features', async () => {
      const answer = await ask('GET', `/v1/features/zone?entity=z1&at=${at}`, 'viewer');
      return answer.status === 200 && answer.body.asOf === at - 30_000 ? answer.body : undefined;
    });
    const job = (await ask('POST', '/v1/history?views=zone', 'viewer', `zone,time\nz1,${at}\n`, 'text/csv'))
      .body;
    const done = await until('the job', async () => {
      const { body } = await ask('GET', `/v1/jobs/${job.id}`, 'viewer');
      return body.finishedAt === null ? undefined : body;
    });
    expect(done).toMatchObject({ state: 'done', by: 'the viewer, by HTTP' });
    const [head, row] = (await (await call('GET', `/v1/jobs/${job.id}/result`, 'viewer')).text()).split('\n');
    const names = Object.keys(live.features);
    expect(head).toBe(`zone,time,${names.map((name) => `zone.${name}`).join(',')}`);
    expect(row?.split(',').slice(2)).toEqual(names.map((name) => String(live.features[name] ?? '')));
    const scored = (
      await ask('POST', '/v1/models/cost/score', 'operator', `zone,car,time\nz1,c,${at}\n`, 'text/csv')
    ).body;
    await until('the scores', async () => {
      const { body } = await ask('GET', `/v1/jobs/${scored.id}`, 'viewer');
      return body.finishedAt === null ? undefined : body;
    });
    const [, second] = (await (await call('GET', `/v1/jobs/${scored.id}/result`, 'viewer')).text()).split(
      '\n',
    );
    const live1 = await ask('POST', '/v1/models/cost/predict', 'viewer', {
      request: { zone: 'z1', car: 'c', time: at },
    });
    expect(second).toBe(`z1,c,${at},${live1.body.score},${live1.body.decision},1,`);
    // The same as a query, by the command.
    const out = join(directory, 'scores.ndjson');
    const query = `SELECT 'z1' AS zone, 'c' AS car, '${at}' AS time`;
    const told = JSON.parse(millrace('score', '--query', query, '--form', 'ndjson', '--out', out));
    expect(told).toMatchObject({ model: 'cost', rows: 1, file: out });
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual({
      zone: 'z1',
      car: 'c',
      time: String(at),
      score: live1.body.score,
      decision: live1.body.decision,
      model_version: 1,
      reason: null,
    });
    const refusalOf = (...more: readonly string[]): string => {
      try {
        return millrace('score', ...more);
      } catch (error) {
        return String((error as { stdout?: unknown }).stdout);
      }
    };
    expect(refusalOf('--query', query, '--out', out)).toContain('is there already');
    expect(refusalOf('--query', "SELECT 1 AS zone, 'c' AS car", '--out', `${out}.2`)).toContain('Row 1');
    expect(existsSync(`${out}.2`)).toBe(false);
  });

  it('changes are kept with who made them and why', async () => {
    const none = await ask('POST', '/v1/models/cost/versions/2/promote', 'operator', {});
    expect(none.status).toBe(400);
    expect((await ask('POST', '/v1/models/cost/versions/2/promote', 'viewer', { reason: 'x' })).status).toBe(
      403,
    );
    const promoted = await ask('POST', '/v1/models/cost/versions/2/promote', 'operator', {
      reason: 'tried it',
    });
    expect(promoted).toMatchObject({
      status: 200,
      body: { changes: [{ version: 2, state: 'champion', by: 'the operator, by HTTP', reason: 'tried it' }] },
    });
    const again = await ask('POST', '/v1/models/cost/versions/2/promote', 'operator', { reason: 'x' });
    expect([again.status, again.body.code]).toEqual([409, 'rollout_refused']);
    await until('the new champion', async () => {
      const { body } = await ask('POST', '/v1/models/cost/predict', 'viewer', {
        request: trip(100, { id: randomUUID() }),
      });
      return body.modelVersion === 2 ? true : undefined;
    });
    const back = await ask('POST', '/v1/models/cost/rollback', 'admin', { reason: 'worse' });
    expect(back).toMatchObject({
      status: 200,
      body: { changes: [{ version: 1, by: 'the admin, by HTTP' }] },
    });
    const run = await ask('POST', '/v1/pipelines/retrain/run', 'operator', { reason: 'to see' });
    expect(run).toMatchObject({
      status: 202,
      body: { cause: 'the operator, by HTTP: to see', state: 'waiting' },
    });
    const cancelled = await ask(
      'POST',
      `/v1/pipeline-runs/${encodeURIComponent(run.body.id)}/cancel`,
      'operator',
      {
        reason: 'seen',
      },
    );
    expect(cancelled).toMatchObject({ status: 200, body: { state: 'cancelled' } });
    expect(
      (await ask('GET', '/v1/pipeline-runs', 'viewer')).body.runs.map(({ id }: { id: string }) => id),
    ).toEqual([run.body.id]);
    const log = readFileSync(api.log, 'utf8');
    expect(log).toMatch(/"route":"promoteVersion"[^\n]*"caller":"the operator"/);
  });

  it('every route serves the roles that are named for it, and no other', async () => {
    const document = (await (await call('GET', '/openapi.json', null)).json()) as {
      paths: Record<string, Record<string, { description: string; security?: unknown[] }>>;
    };
    const wrong: string[] = [];
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, { description, security }] of Object.entries(methods)) {
        if (path.startsWith('/v1/streams/')) continue;
        const named = /Roles: ([a-z, ]+)\./.exec(description)?.[1]?.split(', ') ?? [];
        for (const role of [null, ...ROLES]) {
          const body = method === 'post' ? {} : undefined;
          const { status } = await call(
            method.toUpperCase(),
            path.replaceAll(/\{\w+\}/g, 'none'),
            role,
            body,
          );
          const allowed = security !== undefined || (role !== null && named.includes(role));
          const refused = role === null ? [401, 429].includes(status) : status === 403;
          if (allowed === refused && path !== '/v1/session')
            wrong.push(`${method} ${path} as ${role}: ${status}`);
          if (status >= 500 && status !== 503) wrong.push(`${method} ${path} as ${role}: ${status}`);
        }
      }
    expect(wrong).toEqual([]);
  });

  it('event streams give what is answered, and the console’s cookie opens them', async () => {
    const logged = await call('POST', '/v1/session', null, { key: keys.get('viewer') ?? '' });
    const cookie = logged.headers.getSetCookie()[0] ?? '';
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/);
    const got = await new Promise<string>((done, fail) => {
      const stream = httpRequest(`${api.url}/v1/streams/predictions/cost`, {
        headers: { cookie: cookie.split(';', 1)[0] ?? '' },
      });
      stream.on('response', (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (text.includes('event: begin') && !text.includes('asked'))
            void call('POST', '/v1/models/cost/predict', 'viewer', {
              request: trip(90, { id: 'seen-by-stream' }),
            });
          if (!text.includes('seen-by-stream')) return;
          stream.destroy();
          done(text);
        });
      });
      stream.on('error', fail);
      stream.end();
    });
    expect(got).toMatch(/id: [\d.]+\nevent: prediction\n/);
    const forged = await fetch(`${api.url}/v1/session`, {
      headers: { cookie: cookie.split(';', 1)[0] ?? '', origin: 'https://evil.example' },
    });
    expect(forged.status).toBe(403);
  });

  const memoryMb = () => {
    const status = readFileSync(`/proc/${api.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
  };

  it('hostile bodies and readers leave it alive, within bounds', async () => {
    const before = memoryMb();
    const random = (bytes: number) =>
      Buffer.from(Array.from({ length: bytes }, () => Math.floor(Math.random() * 256)));
    const statuses = new Set<number>();
    const send = async (path: string, body: Buffer | string, type: string) => {
      const answer = await fetch(`${api.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.get('admin')}`, 'content-type': type },
        body: typeof body === 'string' ? body : new Uint8Array(body),
      }).catch(() => null);
      await answer?.arrayBuffer();
      // Of a body that is too large the rest is not read: the connection breaks while it is sent.
      statuses.add(answer?.status ?? 413);
    };
    const paths = [
      '/v1/events/trips',
      '/v1/features/zone',
      '/v1/models/cost/predict',
      '/v1/history?views=zone',
      '/v2/models/cost/infer',
    ];
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    for (const path of paths) {
      for (let i = 0; i < 20; i += 1)
        await send(path, random(1 + i * 50), i % 2 === 0 ? 'application/json' : 'application/x-ndjson');
      await send(path, deep, 'application/json');
      await send(path, `{"a":"${'x'.repeat(10_000_000)}"}`, 'application/json');
      await send(path, `${JSON.stringify({ a: 'x'.repeat(100) })}\n`.repeat(90_000), 'application/x-ndjson');
    }
    expect([...statuses].every((status) => status >= 400 && status < 500)).toBe(true);
    // Bodies that never end, streams that nobody reads.
    const { hostname, port } = new URL(api.url);
    const sockets = Array.from({ length: 1_300 }, (_, i) => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write(
        i < 100
          ? `POST /v1/events/trips HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.get('producer')}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`
          : `GET /v1/streams/predictions/cost HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.get('viewer')}\r\n\r\n`,
      );
      socket.pause();
      return socket;
    });
    await new Promise((done) => setTimeout(done, 3_000));
    const answer = await ask('POST', '/v1/models/cost/predict', 'viewer', {
      request: trip(91, { id: randomUUID() }),
    });
    expect(answer.status).toBe(200);
    expect((await call('GET', '/v1/streams/alerts', 'viewer')).status).toBe(503);
    const grown = memoryMb() - before;
    for (const socket of sockets) socket.destroy();
    expect(grown).toBeLessThan(400);
    expect(api.child.exitCode).toBeNull();
  });

  it('Schemathesis finds nothing', async ({ skip }) => {
    const installed = await installSchemathesis();
    if ('reason' in installed) return skip(installed.reason);
    // What has the right form may mean nothing to the project: another field, a state that does not allow it.
    const allowed = "expected-statuses = ['2xx', '401', '403', '404', '409', '413', '422', '5xx']";
    writeFileSync(join(directory, 'schemathesis.toml'), `[checks.positive_data_acceptance]\n${allowed}\n`);
    const code = 'from schemathesis.cli import schemathesis; schemathesis()';
    const report = await new Promise<{ status: number | null; text: string }>((done) => {
      const child = spawn(
        'python3',
        [
          ...[
            '-c',
            code,
            'run',
            `${api.url}/openapi.json`,
            '--header',
            `Authorization: Bearer ${keys.get('admin')}`,
          ],
          ...['--exclude-path-regex', '^/v1/streams/', '--phases', 'examples,coverage,fuzzing'],
          ...[
            '--max-examples',
            '8',
            '--seed',
            '1',
            '--no-color',
            '--workers',
            '1',
            '--request-timeout',
            '20',
          ],
        ],
        {
          cwd: directory,
          env: { ...process.env, PYTHONPATH: installed.packages, HOME: directory },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      children.push(child);
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
      child.once('exit', (status) => done({ status, text }));
    });
    expect(report.status, report.text.slice(-25_000)).toBe(0);
  }, 420_000);

  it('keeps keys out of its log and its answers', async () => {
    const log = readFileSync(api.log, 'utf8') + readFileSync(`${api.log}.err`, 'utf8');
    expect(log.length).toBeGreaterThan(1_000);
    for (const key of keys.values()) {
      expect(log).not.toContain(key);
      // The secret behind the id; it may hold underscores itself.
      expect(log).not.toContain(key.slice('mr_0123456789ab_'.length));
    }
    for (const line of readFileSync(api.log, 'utf8').trimEnd().split('\n')) {
      const { event, requestId } = JSON.parse(line) as { event?: string; requestId?: string };
      if (event === 'request' || event === 'failed') expect(requestId).toBeTruthy();
    }
  });

  it('refuses to listen to strangers without a key, and is open here, to its own', async () => {
    await expect(
      serve('strangers', '--host', '0.0.0.0', '--keys', join(directory, 'none.json')),
    ).rejects.toThrow(/millrace keys create/);
    const open = await serve('open', '--keys', join(directory, 'none.json'));
    const page = (headers: Record<string, string>) => fetch(`${open.url}/v1/project`, { headers });
    expect((await page({})).status).toBe(200);
    expect((await page({ origin: 'https://evil.example' })).status).toBe(403);
    open.child.kill('SIGTERM');
    expect(await open.ended).toBe(0);
  });

  it('a key that was revoked counts no more within a second', async () => {
    millrace('keys', 'revoke', 'the producer');
    await until('the end of the key', async () =>
      (await call('POST', '/v1/events/trips', 'producer', trip(1))).status === 401 ? true : undefined,
    );
  });

  it('stops in order: what is under way ends, readers are told', async () => {
    const stream = await call('GET', '/v1/streams/predictions/cost', 'viewer');
    const text = stream.text();
    const asked = Array.from({ length: 20 }, (_, i) =>
      call('POST', '/v1/models/cost/predict', 'viewer', { request: trip(92, { id: `last-${i}` }) }),
    );
    // Whoever is only connecting when the server stops may be cut off.
    const settled = Promise.allSettled(asked);
    await asked[0];
    api.child.kill('SIGTERM');
    expect(await api.ended).toBe(0);
    expect(await text).toContain('event: closing');
    const answers = await settled;
    const good = answers.filter((one) => one.status === 'fulfilled' && one.value.status === 200).length;
    expect(good).toBeGreaterThan(0);
    for (const one of answers) if (one.status === 'fulfilled') expect([200, 503]).toContain(one.value.status);
  });
});
