import { stackDirectory } from './places.ts';
import { readState } from './state.ts';

/** Variables that connections name, filled in by the local stack that runs, if one does. */
export function localVariables(dataDir: string = stackDirectory()): Record<string, string> {
  const stack = readState(dataDir);
  if (stack === undefined) return {};
  const { kafka, redis, registry, clickhouse } = stack;
  return {
    ...(kafka.length === 0 ? {} : { KAFKA_BROKERS: kafka.join(',') }),
    ...(redis === '' ? {} : { REDIS_URL: redis }),
    ...(registry === '' ? {} : { REGISTRY_URL: registry }),
    ...(clickhouse === '' ? {} : { CLICKHOUSE_URL: clickhouse }),
  };
}
