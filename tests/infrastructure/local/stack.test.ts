import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, describe, expect, it } from 'vitest';
import { startOf } from '../../../infrastructure/local/processes.ts';
import { currentStack, down, type StackAddresses, status, up } from '../../../infrastructure/local/stack.ts';
import { removeStack, stackDirectory } from '../../stack-directory.ts';

const dataDir = stackDirectory();
const pids = new Set<number>();

function remember(): number[] {
  const file = JSON.parse(readFileSync(join(dataDir, 'addresses.json'), 'utf8')) as {
    services: Record<string, { pid: number }>;
  };
  const now = Object.values(file.services).map(({ pid }) => pid);
  for (const pid of now) pids.add(pid);
  return now;
}

/** One thing in each service, so that a restart can be asked whether it is still there. */
async function use(stack: StackAddresses, topic: string): Promise<void> {
  const kafka = new Kafka({ brokers: stack.kafka, logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  await producer.send({
    topic,
    messages: [{ key: 'k', value: 'v', partition: 0, timestamp: '978307200000' }],
  });
  await producer.disconnect();

  const redis = new Redis(stack.redis);
  await redis.set(topic, 'kept');
  expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  await redis.call(
    'FUNCTION',
    'LOAD',
    'REPLACE',
    '#!lua name=stacktest\nredis.register_function{function_name="stacktest", callback=function() return 7 end, flags={"no-writes"}}',
  );
  expect(await redis.call('FCALL', 'stacktest', '0')).toBe(7);
  redis.disconnect();

  const clickhouse = createClient({ url: stack.clickhouse });
  await clickhouse.command({ query: `CREATE TABLE ${topic} (x UInt8) ENGINE = MergeTree ORDER BY x` });
  await clickhouse.insert({ table: topic, values: [{ x: 42 }], format: 'JSONEachRow' });
  await clickhouse.close();
}

async function consumeOne(
  stack: StackAddresses,
  topic: string,
): Promise<{ value: string; timestamp: number }> {
  const consumer = new Kafka({ brokers: stack.kafka, logLevel: logLevel.NOTHING }).consumer({
    groupId: `${topic}-${Math.random()}`,
    maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  try {
    return await new Promise((done) => {
      consumer.run({
        eachMessage: async ({ message }) =>
          done({ value: message.value?.toString() ?? '', timestamp: Number(message.timestamp) }),
      });
    });
  } finally {
    await consumer.disconnect();
  }
}

async function register(stack: StackAddresses, subject: string, fields: object[]): Promise<number> {
  const answer = await fetch(`${stack.registry}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify({ type: 'record', name: 'R', fields }) }),
  });
  return answer.status;
}

afterAll(() => removeStack(dataDir));

describe('the native stack', () => {
  it('starts, serves all four, is found by others, restarts what died, keeps data, and leaves no process', {
    timeout: 180_000,
  }, async () => {
    const stack = await up({ dataDir, mode: 'native' });
    const first = remember();
    expect(first.length).toBe(4);
    await use(stack, 'kept');
    const consumed = await consumeOne(stack, 'kept');
    expect(consumed.value).toBe('v');
    // Append time, not the producer's 2001.
    expect(Math.abs(consumed.timestamp - Date.now())).toBeLessThan(60_000);
    const optional = { name: 'b', type: ['null', 'int'], default: null };
    expect(await register(stack, 'kept', [{ name: 'a', type: 'int' }])).toBe(200);
    expect(await register(stack, 'kept', [{ name: 'a', type: 'int' }, optional])).toBe(200);
    expect(await register(stack, 'kept', [{ name: 'a', type: 'string' }])).toBe(409);

    expect(currentStack(dataDir)).toEqual(stack);
    expect(await up({ dataDir })).toEqual(stack);
    expect(remember()).toEqual(first);

    const redisPid = (await status({ dataDir })).services.find(({ name }) => name === 'redis')?.pid ?? 0;
    process.kill(redisPid, 'SIGKILL');
    while (startOf(redisPid) !== undefined) await new Promise((done) => setTimeout(done, 20));
    expect((await status({ dataDir })).services.map(({ state }) => state)).toEqual([
      'ready',
      'stopped',
      'ready',
      'ready',
    ]);
    expect(await up({ dataDir })).toEqual(stack);
    expect(remember().filter((pid) => !first.includes(pid)).length).toBe(1);
    expect((await status({ dataDir })).services.map(({ state }) => state)).toEqual([
      'ready',
      'ready',
      'ready',
      'ready',
    ]);

    await down({ dataDir });
    for (const pid of pids) expect([pid, startOf(pid)]).toEqual([pid, undefined]);
    expect(currentStack(dataDir)).toBeUndefined();

    const began = performance.now();
    const again = await up({ dataDir, mode: 'native' });
    // 8 s on a quiet machine; other tests run beside this one.
    expect(performance.now() - began).toBeLessThan(60_000);
    remember();
    expect((await consumeOne(again, 'kept')).value).toBe('v');
    const redis = new Redis(again.redis);
    expect(await redis.get('kept')).toBe('kept');
    redis.disconnect();
    expect(await (await fetch(`${again.registry}/subjects`)).json()).toContain('kept');
    expect(await (await fetch(`${again.clickhouse}/?query=SELECT+x+FROM+kept`)).text()).toBe('42\n');
    await down({ dataDir, wipe: true });
    for (const pid of pids) expect([pid, startOf(pid)]).toEqual([pid, undefined]);
    expect(existsSync(join(dataDir, 'kafka'))).toBe(false);
  });

  it('leaves nothing half-started when it is interrupted, and starts afterwards', {
    timeout: 60_000,
  }, async () => {
    const own = stackDirectory();
    const program = `import { up } from ${JSON.stringify(new URL('../../../infrastructure/local/stack.ts', import.meta.url).href)};
      up({ dataDir: ${JSON.stringify(own)}, mode: 'native', services: ['kafka', 'redis'] }, (event) => console.log(JSON.stringify(event)))
        .then(() => process.exit(0), (error) => { console.log(error.code); process.exit(3); });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (!child.killed && /"kafka","phase":"start"/.test(output)) child.kill('SIGINT');
    });
    await once(child, 'close');
    expect([child.exitCode, output.trim().split('\n').at(-1)]).toEqual([3, 'interrupted']);
    expect((await status({ dataDir: own })).services.map(({ state }) => state)).toEqual(
      Array(4).fill('stopped'),
    );
    const stack = await up({ dataDir: own, mode: 'native', services: ['redis'] });
    expect([stack.kafka, stack.registry, stack.clickhouse]).toEqual([[], '', '']);
    await removeStack(own);
  });

  it('is found and stopped after its starter was killed in the middle', async () => {
    const own = stackDirectory();
    const program = `import { up } from ${JSON.stringify(new URL('../../../infrastructure/local/stack.ts', import.meta.url).href)};
      await up({ dataDir: ${JSON.stringify(own)}, mode: 'native', services: ['kafka'] }, (event) => console.log(event.phase));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.on('data', (data: Buffer) => {
      if (data.toString().includes('start')) setTimeout(() => child.kill('SIGKILL'), 200);
    });
    await once(child, 'close');
    const pid = (await status({ dataDir: own })).services[0]?.pid;
    expect(pid).toBeTypeOf('number');
    await down({ dataDir: own });
    expect(startOf(pid ?? 0)).toBeUndefined();
    await removeStack(own);
  });
});
