import { Cluster } from 'ioredis';
import type { RedisConnection } from '../../schemas/project.ts';
import { addressOf, clientOptions } from '../redis/address.ts';

const retryStrategy = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000);

export interface BullSettings {
  /** Null: a command waits for the server without end. */
  readonly maxRetriesPerRequest: number | null;
  readonly enableOfflineQueue: boolean;
}

/** What BullMQ connects with: settings, or on a Redis Cluster a client, which is to be closed by whoever asked for it. */
export function bullConnection(server: RedisConnection, cluster: boolean, settings: BullSettings) {
  const address = addressOf(server);
  if (!cluster)
    return { connection: { ...clientOptions(address), ...settings, retryStrategy }, close: async () => {} };
  const { host: _host, port: _port, ...redisOptions } = { host: '', port: 0, ...clientOptions(address) };
  const client = new Cluster([...address.hosts], {
    enableOfflineQueue: settings.enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...redisOptions, maxRetriesPerRequest: settings.maxRetriesPerRequest },
  });
  // Told by the call that failed.
  client.on('error', () => undefined);
  return { connection: client, close: async () => void client.disconnect() };
}
