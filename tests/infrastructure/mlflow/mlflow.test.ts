import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMlflow, MlflowError, type TrackedRun } from '../../../infrastructure/mlflow/client.ts';
import type { Run } from '../../../pipelines/training/runs.ts';
import { openMirror } from '../../../pipelines/training/runs-mirror.ts';
import { installMlflow, MlflowServer } from './server.ts';

const tracked: TrackedRun = {
  experiment: 'flights/late_arrival',
  name: 'weekly@2001-04-05T000000Z.train.1',
  key: 'weekly@2001-04-05T000000Z.train.1',
  startedAt: 1_000_000,
  finishedAt: 1_060_000,
  state: 'done',
  parameters: { learningRate: 0.002, hidden: [64, 32], calibration: 'none', 'cycle.local_hour': 24 },
  // More than one call may carry.
  metrics: Array.from({ length: 2_300 }, (_, i) => ({
    name: i % 2 === 0 ? 'validation_log_loss' : 'test_log_loss/origin=ORD',
    step: Math.floor(i / 2),
    value: 1 / (i + 1),
  })),
  tags: { 'millrace.kind': 'train', 'millrace.run': 'r' },
  note: '{}',
};

const run: Run = {
  id: 'train-late_arrival-1',
  kind: 'train',
  subject: 'late_arrival',
  state: 'failed',
  startedAt: 5_000,
  finishedAt: 6_000,
  parameters: { epochs: 5 },
  dataset: 'a'.repeat(64),
  metrics: [{ metric: 'validation_log_loss', slice: '', step: 1, value: 0.5 }],
  detail: { error: 'the archive is empty' },
};
const project = (url: string) =>
  ({ prefix: 'flights', connections: { mlflow: { url } } }) as unknown as Parameters<typeof openMirror>[0];

describe('a real MLflow server', () => {
  let server: MlflowServer | null = null;
  let reason = '';
  beforeAll(async () => {
    const installed = await installMlflow();
    if ('reason' in installed) {
      reason = installed.reason;
      return;
    }
    server = await MlflowServer.on(installed.packages);
    await server.start();
  });
  afterAll(() => server?.remove());

  it('is told a run once, whole: parameters, figures by step and slice, tags, times, state', async (context) => {
    if (server === null) return context.skip(reason);
    const client = createMlflow({ url: `${server.url}/` });
    await client.log(tracked);
    await client.log(tracked);
    await createMlflow({ url: server.url }).log(tracked);
    const runs = await server.runs(tracked.experiment);
    expect(runs).toHaveLength(1);
    const [logged] = runs;
    expect(logged?.info).toMatchObject({
      run_name: tracked.name,
      status: 'FINISHED',
      start_time: 1_000_000,
      end_time: 1_060_000,
    });
    const pairs = (list: ReadonlyArray<{ key: string; value: unknown }> = []) =>
      Object.fromEntries(list.map(({ key, value }) => [key, value]));
    expect(pairs(logged?.data.params)).toEqual({
      learningRate: '0.002',
      hidden: '[64,32]',
      calibration: 'none',
      'cycle.local_hour': '24',
    });
    expect(pairs(logged?.data.tags)).toMatchObject({ 'millrace.kind': 'train', 'millrace.key': tracked.key });
    const { metrics = [] } = await server.ask<{ metrics?: Array<{ step: number; value: number }> }>(
      'metrics/get-history',
      { run_id: logged?.info.run_id ?? '', metric_key: 'validation_log_loss' },
    );
    expect(metrics).toHaveLength(1_150);
    expect(pairs(logged?.data.metrics)).toHaveProperty('test_log_loss/origin_ORD');
  });

  it('gets failed runs too', async (context) => {
    if (server === null) return context.skip(reason);
    const warnings: string[] = [];
    await openMirror(project(server.url), (sentence) => warnings.push(sentence))?.mirror(run);
    expect(warnings).toEqual([]);
    const runs = await server.runs('flights/late_arrival');
    const failed = runs.find(({ info }) => info.status === 'FAILED');
    expect(failed?.info.run_name).toBe(run.id);
    expect(failed?.data.params).toContainEqual({ key: 'dataset.sha256', value: 'a'.repeat(64) });
  });
});

describe('a tracking server that fails', () => {
  let server: Server;
  let url: string;
  let answers: number[];
  let asked: number;
  beforeAll(async () => {
    server = createServer((_, response) => {
      asked += 1;
      response.statusCode = answers.shift() ?? 500;
      response.end(JSON.stringify({ error_code: 'INTERNAL_ERROR', message: 'the disk is full' }));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((done) => server.close(done)));

  it('is asked again until it answers', async () => {
    asked = 0;
    answers = [503, 429, 503, 403];
    await expect(createMlflow({ url, pauseMs: 5 }).log(tracked)).rejects.toThrow(/answered 403/);
    expect(asked).toBe(4);
  });

  it('is asked again, then told of in one sentence', async () => {
    asked = 0;
    answers = [];
    const error = await createMlflow({ url, pauseMs: 5 })
      .log(tracked)
      .catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(MlflowError);
    expect(error).toMatchObject({ retriable: true, message: expect.stringContaining('the disk is full') });
    expect(asked).toBe(4);
  });

  it('is not asked again where that cannot help', async () => {
    asked = 0;
    answers = [403];
    await expect(createMlflow({ url, pauseMs: 5 }).log(tracked)).rejects.toThrow(/answered 403/);
    expect(asked).toBe(1);
  });

  it('never fails a training: not when it is away, nor when its address is none', async () => {
    const warnings: string[] = [];
    answers = [403];
    await openMirror(project(url), (sentence) => warnings.push(sentence))?.mirror(run);
    await openMirror(project('localhost'), (sentence) => warnings.push(sentence))?.mirror(run);
    expect(warnings[0]).toMatch(
      /^Run train-late_arrival-1 is not in MLflow: MLflow at 127\.0\.0\.1:\d+ answered 403/,
    );
    expect(warnings[1]).toMatch(/The address of MLflow is no URL/);
    expect(openMirror({ prefix: 'p', connections: { mlflow: null } } as never)).toBeNull();
  });
});
