import { Redis } from 'ioredis';
import type { RedisConnection } from '../../schemas/project.ts';
import { asError } from '../../schemas/refusal.ts';
import { addressOf, clientOptions, type Host, nameOf } from './address.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import { evictionsOf, evicts, factsOf, type ServerFacts } from './facts.ts';
import type { Evictions } from './port.ts';

export interface ConnectionOptions extends RedisConnection {
  /** How long a call waits for the connection before it fails, ms. */
  readonly connectWaitMs?: number;
  /** How long a call waits for its answer, ms. */
  readonly answerWaitMs?: number;
}

export interface Connection {
  readonly redis: Redis;
  /** host:port, for messages. */
  readonly where: string;
  /** What the server said of itself within the last second; null before it has been reached. */
  readonly facts: ServerFacts | null;
  /**
   * Resolves once commands can be sent to a server that may hold our keys; throws StoreError after the wait (ms; default
   * `connectWaitMs`), or at once where the server drops keys.
   */
  ready(waitMs?: number): Promise<void>;
  /** For how long the server has not answered, ms. */
  silentMs(): number;
  /** Asks the server now. */
  evictions(): Promise<Evictions>;
  /** No answer comes on this connection any more: everything under way fails, and another one is made. */
  drop(): void;
  close(): Promise<void>;
}

/** How often a server is asked whether it still may hold our keys. */
const WATCH_EVERY_MS = 1_000;
const LOADING_EVERY_MS = 200;
const CONNECT_AGAIN_MS = 200;

/**
 * One connection, to a server or to the primary that Sentinels name, that reconnects by itself. Nothing is queued while it is
 * away and nothing is sent twice: a command without an answer fails at once, and the caller decides. `host` picks one of several.
 */
export function createConnection(options: ConnectionOptions, host?: Host): Connection {
  const { connectWaitMs = 5_000, answerWaitMs = 10_000 } = options;
  const address = addressOf(options);
  const { sentinel } = address;
  const where =
    host !== undefined
      ? nameOf(host)
      : sentinel === undefined
        ? nameOf(address.hosts[0])
        : `${sentinel.primary} (Sentinels ${address.where})`;
  const redis = new Redis({
    ...clientOptions(address, host),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Done here, where the whole answer is of use.
    enableReadyCheck: false,
    commandTimeout: answerWaitMs,
    connectTimeout: connectWaitMs,
    retryStrategy: (attempt) => Math.min(20 * 2 ** Math.min(attempt, 6), 1_000),
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  let lastFailure: Error | undefined;
  let facts: ServerFacts | null = null;
  let heardAt = performance.now();
  let open = false;
  let closed = false;
  /** Whoever asks in the same turn of the event loop gets the same answer. */
  let asked: Promise<Evictions> | undefined;
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const one of waiting) one();
  };

  /** Learns what the server is; the connection is open once it may be used. */
  async function inspect(): Promise<void> {
    const { stream } = redis;
    try {
      const found = factsOf(await redis.info());
      if (redis.stream !== stream || closed) return;
      facts = found;
      heardAt = performance.now();
      open = false;
      if (found.loading) lastFailure = new Error('LOADING the server is loading its data');
      else if (sentinel !== undefined && found.role === 'slave') {
        lastFailure = new Error('READONLY the Sentinels named a server that is no primary');
        if (redis.status === 'ready') redis.disconnect(true);
      } else {
        open = true;
        lastFailure = undefined;
      }
      if (found.loading) setTimeout(() => void inspect(), LOADING_EVERY_MS).unref();
    } catch (error) {
      if (redis.stream !== stream) return;
      open = false;
      lastFailure = asError(error);
    }
    changed();
  }

  redis.on('error', (error: Error) => {
    lastFailure = error;
  });
  redis.on('ready', () => void inspect());
  redis.on('close', () => {
    open = false;
  });
  // The client gives up for good where it is told to hang up while it connects, as several READONLY answers of one failover tell it.
  redis.on('end', () => {
    if (closed) changed();
    else setTimeout(() => !closed && redis.connect().catch(() => undefined), CONNECT_AGAIN_MS);
  });
  const watch = setInterval(() => {
    if (redis.status === 'ready') void inspect();
  }, WATCH_EVERY_MS).unref();

  /** Whether commands can be sent. Throws what waiting does not change. */
  function usable(): boolean {
    if (closed) throw new StoreError('closed', `The connection to Redis at ${where} is closed.`);
    if (lastFailure !== undefined && /NOPERM/.test(lastFailure.message) && redis.status === 'ready')
      throw storeErrorOf(lastFailure, where);
    // After a READONLY answer the client is still `ready` while it hangs up.
    if (!open || redis.status !== 'ready' || !redis.stream.writable) return false;
    if (facts !== null && facts.policy !== 'noeviction') throw evicts(where, facts.policy);
    return true;
  }

  function unreachable(): StoreError {
    const reason = lastFailure?.message ?? 'no answer';
    if (/^(LOADING|READONLY)/.test(reason)) return storeErrorOf(lastFailure, where);
    if (/NOAUTH|WRONGPASS|NOPERM/.test(reason)) return storeErrorOf(lastFailure, where);
    const secure = /certificate|self.signed|SSL|TLS|altname|EPROTO/i.test(reason);
    const mend = secure
      ? 'check redis.tls (ca, servername) and whether the server speaks TLS at this port'
      : 'check that it runs and that the address is right';
    return new StoreError('unreachable', `Redis at ${where} cannot be reached (${reason}); ${mend}.`, {
      cause: lastFailure,
    });
  }

  return {
    redis,
    where,
    get facts() {
      return facts;
    },
    async ready(waitMs = connectWaitMs) {
      if (usable()) return;
      await new Promise<void>((resolve, reject) => {
        const settle = (error?: unknown) => {
          clearTimeout(timer);
          waiting.delete(look);
          if (error === undefined) resolve();
          else reject(error);
        };
        const look = () => {
          try {
            if (usable()) settle();
          } catch (error) {
            settle(error);
          }
        };
        const timer = setTimeout(() => settle(unreachable()), waitMs);
        waiting.add(look);
      });
    },
    silentMs: () => performance.now() - heardAt,
    evictions() {
      if (asked === undefined) {
        asked = redis.info('server', 'stats').then(evictionsOf);
        queueMicrotask(() => {
          asked = undefined;
        });
      }
      return asked;
    },
    drop() {
      if (!closed) redis.stream?.destroy();
    },
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(watch);
      if (redis.status === 'ready') await redis.quit().catch(() => undefined);
      redis.disconnect();
    },
  };
}
