import type { Connection } from './connection.ts';
import type { StoreError } from './errors.ts';
import { storeErrorOf } from './errors.ts';

/** Sends commands that concern keys of one slot, to the server that holds it. */
export type Send<T> = (to: Connection) => Promise<T>;

/** The servers that hold the keys. */
export interface Servers {
  /** Runs `send` with the server that holds the slot of `key`. Throws StoreError. */
  at<T>(key: string, send: Send<T>): Promise<T>;
  /** Keys as `list` finds them on each server. Throws StoreError. */
  keys(list: (one: Connection) => AsyncIterable<string>): AsyncIterable<string>;
  close(): Promise<void>;
}

/** A server alone (or the primary behind Sentinels) holds every slot. */
export function oneServer(connection: Connection): Servers {
  return {
    async at(_key, send) {
      await connection.ready();
      return attempt(connection, send);
    },
    keys: (list) => list(connection),
    close: () => connection.close(),
  };
}

/** Throws StoreError. A server that does not answer in time is given up: its connection is made anew. */
export async function attempt<T>(connection: Connection, send: Send<T>): Promise<T> {
  try {
    return await send(connection);
  } catch (error) {
    if (error instanceof Error && error.message.includes('timed out')) connection.drop();
    throw storeErrorOf(error, connection.where);
  }
}

/** All answers, in order; of several failures the one that leaves most open is thrown. */
export async function gather<T>(answers: ReadonlyArray<Promise<T>>): Promise<T[]> {
  const settled = await Promise.allSettled(answers);
  let failure: StoreError | undefined;
  for (const one of settled) {
    if (one.status === 'fulfilled') continue;
    const error = storeErrorOf(one.reason, 'its address');
    if (failure === undefined || error.code === 'answer_lost') failure = error;
  }
  if (failure !== undefined) throw failure;
  return settled.map((one) => (one as PromiseFulfilledResult<T>).value);
}
