import { type ChildProcess, execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { applyDeps } from '../../cli/commands/apply.ts';
import { loadProject } from '../../config/load.ts';
import { removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { openServers, type Platform } from '../../platform/platform.ts';
import { tables } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { HOUR, SECOND } from '../../schemas/time.ts';
import { applyProject, topicSpecs } from '../../streams/apply/apply.ts';
import { seeded } from '../simulation/random.ts';
import { trips } from '../simulation/trips.ts';
import { testStack } from '../stack.ts';
import { startStreams } from '../start-streams.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BEGIN = Date.UTC(2026, 0, 1);
const STREAMS = ['ingest', 'features', 'inference', 'archive'] as const;

/**
 * A project of two sources on real servers, by its commands: `replay` of both files, then `replay --from-archive` of what came of it
 * into another prefix, which must give the same vectors to the bit.
 */
describe('two sources on real servers', () => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-two-sources-'));
  const directory = join(data, 'project');
  const prefixes = ['a', 'b'].map((name) => `test-${randomUUID().slice(0, 8)}-${name}`);
  const children: ChildProcess[] = [];
  const opened: Array<{ project: Project; platform: Platform }> = [];
  let variables: Record<string, string>;
  let rides = 0;
  let jams = 0;

  beforeAll(async () => {
    const stack = await testStack();
    variables = {
      KAFKA_BROKERS: stack.kafka.join(','),
      REDIS_URL: stack.redis,
      REGISTRY_URL: stack.registry,
      CLICKHOUSE_URL: stack.clickhouse,
    };
    writeFiles();
    for (const prefix of prefixes) {
      const project = loadProject(directory, { environment: variables, prefix });
      const platform = openServers(project, { artefacts: join(data, 'artefacts') });
      opened.push({ project, platform });
      await applyProject(applyDeps(project, platform));
      children.push(
        await startStreams(STREAMS, { project: directory, prefix, data, variables, log: 'inherit' }),
      );
    }
  });

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const { project, platform } of opened) {
      const admin = await platform.kafka.admin();
      await admin.deleteTopics(topicSpecs(project).map(({ name }) => name)).finally(() => admin.close());
      const keys: string[] = [];
      for await (const key of platform.store.scan(`mr:{${project.prefix}.`)) keys.push(key);
      await platform.store.remove(keys);
      await removeTables(platform.warehouse, project.prefix);
      await platform.close();
    }
    rmSync(data, { recursive: true, force: true });
  });

  /** The simulated project, with a file for each source. */
  function writeFiles(): void {
    cpSync(fileURLToPath(new URL('../simulation/two-sources', import.meta.url)), directory, {
      recursive: true,
    });
    const random = seeded(3);
    const events = trips({ random, start: BEGIN, trips: 300, everyMs: 10_000, quietMs: HOUR, cars: 30 }).map(
      ({ event }) => event,
    );
    const seen = Array.from({ length: 120 }, (_, n) => ({
      id: `j${n}`,
      type: 'jam.seen',
      time: BEGIN + n * 40 * SECOND + Math.floor(random() * SECOND),
      sensor: `sensor-${n % 5}`,
      zone: ['airport', 'centre', 'harbour'][n % 3],
      level: n % 10,
    }));
    rides = events.length;
    jams = seen.length;
    const lines = (list: readonly object[]) => list.map((one) => `${JSON.stringify(one)}\n`).join('');
    writeFileSync(join(directory, '..', 'trips.jsonl'), lines(events as object[]));
    writeFileSync(join(directory, '..', 'jams.jsonl'), lines(seen));
    const yaml = loadText('project.yaml');
    writeFileSync(
      join(directory, 'project.yaml'),
      `${yaml}history:\n  - { reader: events, source: trips, file: ../trips.jsonl }\n  - { reader: events, source: jams, file: ../jams.jsonl }\n`,
    );
    writeFileSync(
      join(directory, 'connections.yaml'),
      `kafka: { brokers: '\${env:KAFKA_BROKERS}' }\nredis: { url: '\${env:REDIS_URL}' }\nregistry: { url: '\${env:REGISTRY_URL}' }\nclickhouse: { url: '\${env:CLICKHOUSE_URL}' }\n`,
    );
  }

  const loadText = (name: string) => readFileSync(join(directory, name), 'utf8');

  async function millrace(...args: string[]): Promise<{ sent: number; sentOf: object; complete: boolean }> {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(ROOT, 'cli/millrace.ts'), ...args, '--project', directory, '--json'],
      { cwd: data, env: { ...process.env, ...variables, MILLRACE_DATA: data }, timeout: 60_000 },
    );
    return JSON.parse(stdout);
  }

  interface Row {
    readonly id: string;
    readonly vector: string;
    readonly whole: number;
  }

  /** What was answered, once the archive holds an answer to every request. */
  async function answers(index: number): Promise<readonly Row[]> {
    const { project, platform } = opened[index] as (typeof opened)[number];
    const table = tables.predictions(project.prefix, 'cost');
    return vi.waitFor(
      async () => {
        const rows = await platform.warehouse.query<Row>(
          `SELECT request_id AS id, toString(arrayMap(x -> hex(reinterpretAsUInt64(x)), vector)) AS vector,
             arrayAll(r -> r.head = r.as_of, reads) AS whole FROM \`${table}\` FINAL ORDER BY id`,
        );
        const [asked] = await platform.warehouse.query<{ n: number }>(
          `SELECT count() AS n FROM \`${tables.events(project.prefix, 'trips')}\` FINAL WHERE type = 'trip.started'`,
        );
        expect(asked?.n).toBeGreaterThan(250);
        expect(rows.length).toBe(asked?.n);
        return rows;
      },
      { timeout: 30_000, interval: 300 },
    );
  }

  it('are replayed together, and their archive again, with the same vectors', {
    timeout: 240_000,
  }, async () => {
    const [a = '', b = ''] = prefixes;
    const to = ['--to', String(BEGIN + 12 * HOUR)];
    expect(await millrace('replay', '--prefix', a, ...to)).toMatchObject({
      complete: true,
      sent: rides + jams,
      sentOf: { trips: rides, jams },
    });
    const first = await answers(0);
    expect(first.every(({ whole }) => whole === 1)).toBe(true);

    const again = await millrace('replay', '--prefix', b, '--from-archive', a, ...to);
    expect(again).toMatchObject({ complete: true, sent: rides + jams });
    expect(await answers(1)).toEqual(first);
  });
});
