import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createConnection } from './connection.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import type { Commit, CommitResult, OnlineStore } from './port.ts';
import { checkCommit, checkGroup } from './request.ts';
import { ReadyCommand, RequestWriter } from './wire.ts';

export type RedisStoreOptions = ConnectionOptions;

const template = readFileSync(new URL('./commit.lua', import.meta.url), 'utf8');
const version = createHash('sha256').update(template).digest('hex').slice(0, 8);
const library = template.replaceAll('@VERSION@', version);
const functionName = `millrace_commit_${version}`;

const text = (value: unknown) => (Buffer.isBuffer(value) ? value.toString() : String(value));

function encodeCommit(commit: Commit): Buffer {
  const { metaKey, expected, next, deletes, sets, appends } = commit;
  const fixed = [
    String(1 + deletes.length + sets.length + appends.length),
    String(commit.logTtlMs),
    String(commit.metaTtlMs),
    String(deletes.length),
    String(sets.length),
  ] as const;
  let size = 256 + RequestWriter.room(metaKey) + next.length + (expected?.length ?? 0);
  for (const key of deletes) size += RequestWriter.room(key);
  for (const [key, value] of sets) size += RequestWriter.room(key) + RequestWriter.room(value);
  for (const [key, value] of appends) size += RequestWriter.room(key) + RequestWriter.room(value);
  const parts = 11 + deletes.length + 2 * (sets.length + appends.length);
  const request = new RequestWriter(parts, size);
  request.text('FCALL');
  request.text(functionName);
  request.text(fixed[0]);
  request.text(metaKey);
  for (const key of deletes) request.text(key);
  for (const [key] of sets) request.text(key);
  for (const [key] of appends) request.text(key);
  request.text(expected === null ? '0' : '1');
  request.bytes(expected ?? new Uint8Array(0));
  request.bytes(next);
  for (let i = 1; i < fixed.length; i++) request.text(fixed[i] ?? '');
  for (const [, value] of sets) request.bytes(value);
  for (const [, value] of appends) request.bytes(value);
  return request.finish();
}

function encodeRead(group: readonly string[]): Buffer {
  let size = 64;
  for (const key of group) size += RequestWriter.room(key);
  const request = new RequestWriter(1 + group.length, size);
  request.text('MGET');
  for (const key of group) request.text(key);
  return request.finish();
}

function decodeCommit(reply: unknown): CommitResult {
  if (!Array.isArray(reply)) throw new Error('the commit function gave no list');
  const status: unknown = reply[0];
  if (status === 1) return { status: 'committed', lengths: reply.slice(1) };
  if (status === 0) return { status: 'conflict' };
  return { status: 'torn', detail: text(reply[1]) };
}

/** MATCH pattern for everything that begins with `prefix`. */
const patternOf = (prefix: string) => `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;

/** The online store on Redis 7.0 or newer, or Valkey. Connects at once, in the background. */
export function createRedisStore(options: RedisStoreOptions): OnlineStore {
  const connection = createConnection(options);
  const { redis, where } = connection;

  async function load(): Promise<void> {
    try {
      await redis.function('LOAD', library);
    } catch (error) {
      if (!text(error).includes('already exists')) throw error;
    }
  }
  // A server that restarted without its data has lost the function as well. If this fails the commit says why.
  redis.on('ready', () => void load().catch(() => undefined));

  const send = (name: string, ready: Buffer) =>
    redis.sendCommand(new ReadyCommand(name, ready)) as Promise<unknown>;

  /** All answers, in order; of several failures the one that leaves most open is thrown. */
  async function gather(answers: ReadonlyArray<Promise<unknown>>): Promise<unknown[]> {
    const settled = await Promise.allSettled(answers);
    let failure: StoreError | undefined;
    for (const one of settled) {
      if (one.status === 'fulfilled') continue;
      const error = storeErrorOf(one.reason, where);
      if (failure === undefined || error.code === 'answer_lost') failure = error;
    }
    if (failure !== undefined) throw failure;
    return settled.map((one) => (one.status === 'fulfilled' ? one.value : undefined));
  }

  const LOST = Symbol('function lost');
  const call = (bytes: Buffer) =>
    send('fcall', bytes).catch((error: unknown) => {
      if (text(error).includes('Function not found')) return LOST;
      throw error;
    });

  return {
    async commit(commits) {
      for (const commit of commits) checkCommit(commit);
      if (commits.length === 0) return [];
      await connection.ready();
      const requests = commits.map(encodeCommit);
      const replies = await gather(requests.map(call));
      if (replies.includes(LOST)) {
        await gather([load()]);
        const again = await gather(
          requests.map((bytes, i) => (replies[i] === LOST ? call(bytes) : replies[i])) as Promise<unknown>[],
        );
        if (again.includes(LOST)) {
          throw new StoreError(
            'server',
            `Redis at ${where} does not keep the function ${functionName} after FUNCTION LOAD.`,
          );
        }
        return again.map(decodeCommit);
      }
      return replies.map(decodeCommit);
    },

    async read(groups) {
      for (const group of groups) checkGroup(group);
      await connection.ready();
      const answers = await gather(
        groups.map((group) => (group.length === 0 ? Promise.resolve([]) : send('mget', encodeRead(group)))),
      );
      return answers as Array<Array<Uint8Array | null>>;
    },

    async *scan(prefix) {
      const seen = new Set<string>();
      let cursor = '0';
      do {
        await connection.ready();
        const [page] = (await gather([redis.scan(cursor, 'MATCH', patternOf(prefix), 'COUNT', 1_000)])) as [
          [string, string[]],
        ];
        cursor = page[0];
        for (const key of page[1]) {
          if (seen.has(key)) continue;
          seen.add(key);
          yield key;
        }
      } while (cursor !== '0');
    },

    async remove(keys) {
      for (let i = 0; i < keys.length; i += 1_000) {
        await connection.ready();
        await gather([redis.unlink(...keys.slice(i, i + 1_000))]);
      }
    },

    async usage(prefix) {
      let count = 0;
      let bytes = 0;
      let page: string[] = [];
      const weigh = async () => {
        await connection.ready();
        const sizes = await gather(page.map((key) => redis.memory('USAGE', key, 'SAMPLES', 0)));
        for (const size of sizes) {
          // Expired or removed since the scan.
          if (typeof size !== 'number') continue;
          count++;
          bytes += size;
        }
        page = [];
      };
      for await (const key of this.scan(prefix)) if (page.push(key) === 1_000) await weigh();
      await weigh();
      return { keys: count, bytes };
    },

    close: () => connection.close(),
  };
}
