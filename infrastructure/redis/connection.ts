import { Redis } from 'ioredis';
import { StoreError } from './errors.ts';

export interface ConnectionOptions {
  /** redis://user:password@host:6379/0, or rediss:// for TLS. */
  readonly url: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** How long a call waits for the connection before it fails, ms. */
  readonly connectWaitMs?: number;
  /** How long a call waits for its answer, ms. */
  readonly answerWaitMs?: number;
}

export interface Connection {
  readonly redis: Redis;
  /** host:port, for messages. */
  readonly where: string;
  /** Resolves once commands can be sent; throws StoreError after the wait. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/**
 * One connection that reconnects by itself. Nothing is queued while it is away and nothing is sent twice:
 * a command without an answer fails at once, and the caller decides.
 */
export function createConnection(options: ConnectionOptions): Connection {
  const { url, connectWaitMs = 5_000, answerWaitMs = 10_000 } = options;
  let where: string;
  try {
    where = new URL(url).host;
  } catch (cause) {
    throw new StoreError('bad_request', 'The address of Redis is no URL; write redis://host:6379.', {
      cause,
    });
  }
  const redis = new Redis(url, {
    ...(options.tls === undefined ? {} : { tls: { ...options.tls } }),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: answerWaitMs,
    connectTimeout: connectWaitMs,
    retryStrategy: (attempt) => Math.min(20 * 2 ** Math.min(attempt, 6), 1_000),
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  let lastFailure: Error | undefined;
  redis.on('error', (error: Error) => {
    lastFailure = error;
  });
  redis.on('ready', () => {
    lastFailure = undefined;
  });

  let waiting: Promise<void> | undefined;
  let closed = false;

  function wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: StoreError) => {
        clearTimeout(timer);
        redis.off('ready', onReady);
        redis.off('end', onEnd);
        waiting = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      const onReady = () => settle();
      const onEnd = () => settle(new StoreError('closed', `The connection to Redis at ${where} is closed.`));
      const timer = setTimeout(() => {
        const reason = lastFailure?.message ?? 'no answer';
        settle(
          new StoreError(
            /NOAUTH|WRONGPASS|NOPERM/.test(reason) ? 'not_allowed' : 'unreachable',
            `Redis at ${where} cannot be reached (${reason}); check that it runs and that the address is right.`,
            { cause: lastFailure },
          ),
        );
      }, connectWaitMs);
      redis.on('ready', onReady);
      redis.on('end', onEnd);
    });
  }

  return {
    redis,
    where,
    async ready() {
      // After a READONLY answer the client is still `ready` while it hangs up.
      if (redis.status === 'ready' && redis.stream.writable) return;
      if (closed || redis.status === 'end') {
        throw new StoreError('closed', `The connection to Redis at ${where} is closed.`);
      }
      waiting ??= wait();
      await waiting;
    },
    async close() {
      if (closed) return;
      closed = true;
      if (redis.status === 'ready') await redis.quit().catch(() => undefined);
      redis.disconnect();
    },
  };
}
