import type { Connection, ConnectionOptions } from './connection.ts';
import { type StoreError, storeErrorOf } from './errors.ts';

/**
 * Sends commands that concern keys of one slot, to the server that holds it. `asking`: the slot is on its way there, and each
 * command must be preceded by ASKING.
 */
export type Send<T> = (to: Connection, asking: boolean) => Promise<T>;

/** The servers that hold the keys: one, or the primaries of a Redis Cluster. */
export interface Servers {
  /** Runs `send` with the server that holds the slot of `key`; again where the slot has moved. Throws StoreError. */
  at<T>(key: string, send: Send<T>): Promise<T>;
  /** Keys that begin with `prefix`, each once, as `list` finds them on one server. Throws StoreError. */
  keys(prefix: string, list: (one: Connection) => AsyncIterable<string>): AsyncIterable<string>;
  readonly cluster: boolean;
  close(): Promise<void>;
}

export interface ServersOptions extends ConnectionOptions {
  /** A slot is on its way, or has no server: told after a second, in a sentence; null once it is over. */
  readonly onWait?: ((where: string, sentence: string | null) => void) | undefined;
}

/** What an answer means. A server that does not answer in time is given up: its connection is made anew. */
export function failureOf(connection: Connection, error: unknown): StoreError {
  if (error instanceof Error && error.message.includes('timed out')) connection.drop();
  return storeErrorOf(error, connection.where);
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
