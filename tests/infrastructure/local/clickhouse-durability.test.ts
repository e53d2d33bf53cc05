import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterEach, describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../../infrastructure/local/clickhouse-server.ts', import.meta.url));
const running: ChildProcess[] = [];

/** The server as the stack runs it: a process of its own. Resolves with its address, or what it complained of. */
async function start(dataDir: string): Promise<{ child: ChildProcess; url: string; complaint: string }> {
  const child = spawn(process.execPath, [program, '--data-dir', dataDir], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  running.push(child);
  let output = '';
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  return new Promise((done) => {
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      const url = /on (http:\S+),/.exec(output)?.[1];
      if (url) done({ child, url, complaint });
    });
    child.on('close', () => done({ child, url: '', complaint }));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, 'exit');
  child.kill(signal);
  return ((await ended) as [number | null])[0];
}

const clientOf = (url: string) =>
  createClient({ url, max_open_connections: 4, log: { level: ClickHouseLogLevel.OFF } });

afterEach(async () => {
  for (const child of running.splice(0)) await end(child, 'SIGKILL');
});

describe('the ClickHouse server as a process', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-durable-'));
  const create =
    'CREATE TABLE IF NOT EXISTS t (batch UInt32, row UInt32) ENGINE = MergeTree ORDER BY batch SETTINGS non_replicated_deduplication_window = 1000';
  const rowsOf = (batch: number) => Array.from({ length: 50 }, (_, row) => ({ batch, row }));
  const token = (batch: number) => ({ insert_deduplication_token: `b${batch}`, async_insert: 0 as const });

  it('refuses a directory that another process holds, and says so', async () => {
    const first = await start(dataDir);
    const second = await start(dataDir);
    expect(second.url).toBe('');
    expect(second.complaint).toContain(`(${first.child.pid}) holds the ClickHouse data directory ${dataDir}`);
    expect(await end(second.child, 'SIGKILL')).toBe(1);
    const client = clientOf(first.url);
    expect(await client.ping()).toMatchObject({ success: true });
    await client.close();
  });

  it('keeps what it acknowledged through SIGKILL, and takes a repeat of the rest exactly once', async () => {
    let server = await start(dataDir);
    let client = clientOf(server.url);
    await client.command({ query: create });
    const acknowledged = new Set<number>();
    let next = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (next < 2_000) {
        const batch = next++;
        try {
          await client.insert({
            table: 't',
            values: rowsOf(batch),
            format: 'JSONEachRow',
            clickhouse_settings: token(batch),
          });
          acknowledged.add(batch);
        } catch {
          return;
        }
      }
    });
    await new Promise((done) => setTimeout(done, 400));
    await end(server.child, 'SIGKILL');
    await Promise.all(load);
    await client.close();
    expect(acknowledged.size).toBeGreaterThan(0);
    expect(acknowledged.size).toBeLessThan(next);

    server = await start(dataDir);
    client = clientOf(server.url);
    const counts = async () => {
      const result = await client.query({
        query: 'SELECT batch, count() AS n FROM t GROUP BY batch',
        format: 'JSONEachRow',
      });
      return new Map((await result.json<{ batch: number; n: number }>()).map(({ batch, n }) => [batch, n]));
    };
    const after = await counts();
    for (const batch of acknowledged) expect(after.get(batch)).toBe(50);
    for (const n of after.values()) expect(n).toBe(50);
    for (let batch = 0; batch < next; batch++) {
      await client.insert({
        table: 't',
        values: rowsOf(batch),
        format: 'JSONEachRow',
        clickhouse_settings: token(batch),
      });
    }
    const repeated = await counts();
    expect([repeated.size, new Set(repeated.values())]).toEqual([next, new Set([50])]);
    await client.close();
  });

  it('ends cleanly on SIGTERM, with the statement that runs finished and its data there afterwards', async () => {
    let server = await start(dataDir);
    let client = clientOf(server.url);
    await client.command({
      query: 'CREATE TABLE IF NOT EXISTS slow (x UInt64) ENGINE = MergeTree ORDER BY x',
    });
    const slow = client.command({ query: 'INSERT INTO slow SELECT number + sleep(1) FROM numbers(1)' });
    await new Promise((done) => setTimeout(done, 300));
    const ended = end(server.child, 'SIGTERM');
    await slow;
    expect(await ended).toBe(0);
    await client.close();
    server = await start(dataDir);
    client = clientOf(server.url);
    const result = await client.query({ query: 'SELECT count() AS n FROM slow', format: 'JSONEachRow' });
    expect(await result.json()).toEqual([{ n: 1 }]);
    await client.close();
    expect(await end(server.child, 'SIGTERM')).toBe(0);
    rmSync(dataDir, { recursive: true, force: true });
  });
});
