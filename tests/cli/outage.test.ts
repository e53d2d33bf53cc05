import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from '../architecture/sources.ts';

/** Nothing listens there. */
const NOWHERE = {
  KAFKA_BROKERS: 'localhost:1',
  REDIS_URL: 'redis://localhost:2',
  REGISTRY_URL: 'http://localhost:3',
  CLICKHOUSE_URL: 'http://localhost:4',
};

const data = mkdtempSync(join(tmpdir(), 'millrace-outage-'));
afterAll(() => rmSync(data, { recursive: true, force: true }));

function millrace(...parameters: string[]): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((done) => {
    execFile(
      join(root, 'millrace'),
      parameters,
      { env: { ...process.env, ...NOWHERE, MILLRACE_DATA: data, NO_COLOR: '1' }, timeout: 50_000 },
      (error, out, err) => done({ code: error === null ? 0 : error.code, out, err }),
    );
  });
}

describe.concurrent('a command whose server is away', () => {
  for (const [command, where] of [
    ['apply --dry-run', 'Kafka at localhost:1'],
    ['features get origin=ORD', 'Redis at localhost:2'],
    ['models', 'registry at http://localhost:3'],
    ['dead-letters ls', 'ClickHouse at localhost:4'],
  ] as const)
    it(`${command} says which one in one sentence, without a stack, and ends with 1`, {
      timeout: 60_000,
    }, async () => {
      const { code, out, err } = await millrace(...command.split(' '));
      expect(code).toBe(1);
      expect(out).toBe('');
      expect(err).toMatch(/^error: /);
      expect(err).toContain(where);
      expect(err.trim().split('\n')).toHaveLength(1);
    });

  it('tells programs the same as JSON', async () => {
    const { code, out } = await millrace('dead-letters', 'ls', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'unreachable' } });
  });
});
