import { StoreError } from './errors.ts';
import type { Evictions } from './port.ts';

/** What a server says of itself (INFO). */
export interface ServerFacts {
  /** Name of this life of the server's process: another after a restart. */
  readonly runId: string;
  readonly role: 'master' | 'slave';
  /** It is a node of a Redis Cluster. */
  readonly cluster: boolean;
  readonly loading: boolean;
  /** `noeviction`, or what it drops when its memory is full. */
  readonly policy: string;
}

const field = (info: string, name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];

export function factsOf(info: string): ServerFacts {
  return {
    runId: field(info, 'run_id') ?? '',
    role: field(info, 'role') === 'slave' ? 'slave' : 'master',
    cluster: field(info, 'redis_mode') === 'cluster' || field(info, 'cluster_enabled') === '1',
    loading: (field(info, 'loading') ?? '0') !== '0',
    policy: field(info, 'maxmemory_policy') ?? 'noeviction',
  };
}

export function evictionsOf(info: string): Evictions {
  return { server: field(info, 'run_id') ?? '', keys: Number(field(info, 'evicted_keys') ?? 0) };
}

/**
 * A server that drops keys when its memory is full must hold none of ours: a dropped log would read as an entity that was never
 * seen. All our keys expire, so a `volatile-` policy drops them too.
 */
export function evicts(where: string, policy: string): StoreError {
  return new StoreError(
    'evicts',
    `Redis at ${where} has the maxmemory-policy '${policy}' and would drop features when its memory is full: set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration), or name another server in connections.yaml.`,
  );
}
