import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBullQueue } from '../../../infrastructure/queue/bullmq.ts';
import { createRedisStore } from '../../../infrastructure/redis/store.ts';
import type { RedisConnection } from '../../../schemas/project.ts';
import { selfSigned } from './certificate.ts';
import { type TestServer, testServer } from './server.ts';

/** What docs/failures.md says a user needs. */
const STORE_RIGHTS =
  '~mr:* -@all +fcall +function|load +mget +get +set +append +pexpire +unlink +scan +memory|usage +info +ping +cluster|slots +cluster|nodes +asking';
const QUEUE_RIGHTS = '~mr:* +@all -@admin -@dangerous +info +client|list';
const NAME = 'store.test';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
  const admin = new Redis(server.url);
  await admin.call('ACL', 'SETUSER', 'store', 'on', '>s3cret/word', ...STORE_RIGHTS.split(' '));
  await admin.call('ACL', 'SETUSER', 'queue', 'on', '>queue-word', ...QUEUE_RIGHTS.split(' '));
  await admin.call('ACL', 'SETUSER', 'blind', 'on', '>blind-word', '~mr:*', '+@all', '-info');
  await admin.call('ACL', 'SETUSER', 'default', 'off');
  admin.disconnect();
});
afterAll(() => server.stop());

const commit = {
  metaKey: 'mr:{acl}:meta',
  expected: null,
  next: Uint8Array.from([1]),
  sets: [],
  appends: [['mr:{acl}:w:a', Uint8Array.from([1])]],
  deletes: [],
  logTtlMs: 60_000,
  metaTtlMs: 60_000,
  evictions: { server: 'before', keys: 0 },
} as const;

/** All that a store does. */
async function useAll(connection: RedisConnection): Promise<void> {
  const store = createRedisStore({ ...connection, connectWaitMs: 2_000 });
  try {
    expect(await store.commit([commit])).toEqual([{ status: 'committed', lengths: [1] }]);
    expect(await store.read([['mr:{acl}:meta']])).toHaveLength(1);
    expect(await store.evictions(['mr:{acl}:meta'])).toMatchObject([{ keys: 0 }]);
    expect((await store.usage('mr:{acl}')).keys).toBe(2);
    await store.remove(['mr:{acl}:meta', 'mr:{acl}:w:a']);
  } finally {
    await store.close();
  }
}

async function failureOf(connection: RedisConnection): Promise<Error & { code: string }> {
  const store = createRedisStore({ ...connection, connectWaitMs: 700 });
  const error: unknown = await store.read([['mr:{acl}:meta']]).catch((cause: unknown) => cause);
  await store.close();
  if (!(error instanceof Error)) throw new Error('the read did not fail');
  return error as Error & { code: string };
}

describe('a user of Redis with the least rights', () => {
  it('does all that the store does, named in the settings or in the address', async () => {
    await useAll({ url: server.url, username: 'store', password: 's3cret/word' });
    await useAll({ url: server.url.replace('//', `//store:${encodeURIComponent('s3cret/word')}@`) });
  });

  it('carries the queue of the pipelines', async () => {
    const queue = createBullQueue({
      server: { url: server.url, username: 'queue', password: 'queue-word' },
      prefix: 'mr:{acl.pipelines}',
    });
    await queue.ready();
    const done = Promise.withResolvers<string>();
    const onError = (error: Error) => done.reject(error);
    await queue.work({ lane: 'light', concurrency: 1, onError }, async ({ run }) => done.resolve(run));
    await queue.add([{ id: 'a', lane: 'light', data: { run: 'r', step: 's', delivery: 1 }, delayMs: 0 }]);
    expect(await done.promise).toBe('r');
    expect(await queue.workers('light')).toBe(1);
    expect(await queue.documents.set('r', null, '{}')).toBe(true);
    await queue.close();
  });

  it('is refused by name of what is wrong, without its password', async () => {
    const wrong = await failureOf({ url: server.url, username: 'store', password: 'other-word' });
    expect(wrong).toMatchObject({ code: 'not_allowed', retriable: false });
    expect(wrong.message).toMatch(/WRONGPASS.*check user, password and rights/);
    expect(wrong.message).not.toContain('other-word');
    const nobody = await failureOf({ url: server.url });
    expect(nobody).toMatchObject({ code: 'not_allowed', message: expect.stringContaining('NOAUTH') });
    const blind = await failureOf({ url: server.url, username: 'blind', password: 'blind-word' });
    expect(blind).toMatchObject({ code: 'not_allowed', message: expect.stringMatching(/NOPERM.*'info'/) });
  });
});

describe('TLS', () => {
  const own = selfSigned(NAME);
  const client = selfSigned('client.test');
  /** Ends TLS in front of Valkey, as stunnel or a service of a cloud does; it wants a certificate of the client. */
  const front = createServer(
    { ...own, ca: [client.cert], requestCert: true, rejectUnauthorized: true },
    (socket) => {
      const inner = connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.pipe(inner).pipe(socket);
      for (const one of [socket, inner]) one.on('error', () => [socket, inner].map((end) => end.destroy()));
    },
  );
  front.on('tlsClientError', () => undefined);
  let url: string;
  beforeAll(async () => {
    front.listen(0, '127.0.0.1');
    await once(front, 'listening');
    url = `rediss://127.0.0.1:${(front.address() as AddressInfo).port}`;
  });
  afterAll(() => void front.close());
  const user = { username: 'store', password: 's3cret/word' };

  it('takes an authority, a certificate with its key, and the name in the certificate', async () => {
    const tls = { ca: own.cert, ...client, servername: NAME };
    await useAll({ url, ...user, tls });
    await useAll({ url: url.replace('rediss:', 'redis:'), ...user, tls });
    await useAll({ url: url.replace('127.0.0.1', 'localhost'), ...user, tls: { ca: own.cert, ...client } });
  });

  it('says what is wrong with a certificate, and that a server speaks no TLS', async () => {
    const mend = 'check redis.tls (ca, servername)';
    const unknown = await failureOf({ url, ...user, tls: { ...client, servername: NAME } });
    expect(unknown.message).toMatch(/self.signed certificate/);
    expect(unknown.message).toContain(mend);
    const other = await failureOf({
      url,
      ...user,
      tls: { ca: own.cert, ...client, servername: 'other.test' },
    });
    expect(other.message).toMatch(/altnames/);
    expect(other.message).toContain(mend);
    const plain = await failureOf({ url: server.url.replace('redis:', 'rediss:'), ...user });
    expect(plain).toMatchObject({ code: 'unreachable', retriable: true });
    const silent = await failureOf({ url: url.replace('rediss:', 'redis:'), ...user });
    expect(silent).toMatchObject({ code: 'unreachable', retriable: true });
    expect((await failureOf({ url, ...user, tls: { ca: own.cert, servername: NAME } })).code).toBe(
      'unreachable',
    );
  });
});
