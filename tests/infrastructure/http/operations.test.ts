import { afterEach, expect, it } from 'vitest';
import {
  type Health,
  type OperationsServer,
  serveOperations,
} from '../../../infrastructure/http/operations.ts';

let server: OperationsServer | undefined;
afterEach(() => server?.close());

it('serves metrics and the health of the streams on a free port', async () => {
  let health: Health = { healthy: true, streams: { ingest: 'running' }, waits: {}, failures: {} };
  server = await serveOperations({ metrics: async () => 'a 1\n', health: () => health });
  const { url } = server;
  expect(await (await fetch(`${url}/metrics`)).text()).toBe('a 1\n');
  expect((await fetch(`${url}/health`)).status).toBe(200);
  health = {
    healthy: false,
    streams: { ingest: 'restarting' },
    waits: { 'features readers k': 'View k waits for model m.' },
    failures: {
      ingest: 'the broker is away (3 times since 2026-01-01T00:00:00.000Z); it begins again in 5 s',
    },
  };
  const ill = await fetch(`${url}/health`);
  expect(ill.status).toBe(503);
  expect(await ill.json()).toEqual(health);
  // A process whose monitoring fails is alive: nobody should restart ingest for it.
  expect((await fetch(`${url}/live`)).status).toBe(200);
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
  expect((await fetch(`${url}/health`, { method: 'POST' })).status).toBe(405);
});

it('answers 500 when the metrics cannot be made, and lives on', async () => {
  server = await serveOperations({
    metrics: () => Promise.reject(new Error('no metrics')),
    health: () => ({ healthy: true, streams: {}, waits: {}, failures: {} }),
  });
  expect((await fetch(`${server.url}/metrics`)).status).toBe(500);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});
