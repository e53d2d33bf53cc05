import type { Connection, Engine } from './clickhouse-engine.ts';
import { ClickHouseFault } from './clickhouse-http.ts';

type Session = { connection: Connection; busy: boolean; expires: NodeJS.Timeout | undefined };

/**
 * Connections for requests. A request without a session gets a new one and throws it away afterwards, so no
 * setting, parameter or database of one request can reach another; a session keeps its own.
 */
export function createSessions(engine: Engine, limit: number) {
  const sessions = new Map<string, Session>();
  const waiting: (() => void)[] = [];
  let free = limit;
  let idle: (() => void) | undefined;

  const acquire = async (): Promise<void> => {
    if (free > 0) free--;
    else await new Promise<void>((go) => waiting.push(go));
  };
  const release = (): void => {
    const next = waiting.shift();
    if (next) next();
    else if (++free === limit) idle?.();
  };

  const end = (id: string, session: Session): void => {
    clearTimeout(session.expires);
    sessions.delete(id);
    session.connection.close();
  };

  function find(id: string, mustExist: boolean): Session {
    const known = sessions.get(id);
    if (known) {
      if (known.busy)
        throw new ClickHouseFault(
          373,
          'SESSION_IS_LOCKED',
          `Session ${id} is locked by a concurrent client.`,
        );
      return known;
    }
    if (mustExist) throw new ClickHouseFault(372, 'SESSION_NOT_FOUND', `Session ${id} not found.`);
    const session: Session = { connection: engine.connect(), busy: false, expires: undefined };
    sessions.set(id, session);
    return session;
  }

  return {
    /** Runs `work` on a connection, at most `limit` at a time. */
    async use<T>(
      session: { id: string | undefined; check: boolean; timeoutMs: number },
      work: (connection: Connection) => Promise<T>,
    ): Promise<T> {
      await acquire();
      try {
        if (session.id === undefined) {
          const connection = engine.connect();
          try {
            return await work(connection);
          } finally {
            connection.close();
          }
        }
        const id = session.id;
        const found = find(id, session.check);
        found.busy = true;
        clearTimeout(found.expires);
        try {
          return await work(found.connection);
        } finally {
          found.busy = false;
          found.expires = setTimeout(() => end(id, found), session.timeoutMs).unref();
        }
      } finally {
        release();
      }
    },

    /** Waits for the statements that run, then closes every session. */
    async close(): Promise<void> {
      if (free < limit) await new Promise<void>((done) => (idle = done));
      for (const [id, session] of sessions) end(id, session);
    },
  };
}

export type Sessions = ReturnType<typeof createSessions>;
