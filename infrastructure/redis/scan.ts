import type { Connection } from './connection.ts';
import { failureOf } from './servers.ts';

/** MATCH pattern for everything that begins with `prefix`. */
const patternOf = (prefix: string) => `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;

/**
 * Keys of one server that begin with `prefix`, each once. A cursor means something in one life of a server alone (its tables are
 * hashed by a seed of its own): where the connection is another than at the beginning, the scan begins anew.
 */
export async function* scanServer(server: Connection, prefix: string): AsyncGenerator<string> {
  const seen = new Set<string>();
  let cursor = '0';
  let life: unknown;
  do {
    await server.ready();
    const { stream } = server.redis;
    if (stream !== life) cursor = '0';
    life = stream;
    const [next, keys] = await server.redis
      .scan(cursor, 'MATCH', patternOf(prefix), 'COUNT', 1_000)
      .catch((error: unknown) => {
        throw failureOf(server, error);
      });
    cursor = next;
    for (const key of keys) {
      if (seen.has(key)) continue;
      seen.add(key);
      yield key;
    }
  } while (cursor !== '0');
}
