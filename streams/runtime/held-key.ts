import type { CommitResult, OnlineStore } from '../../infrastructure/redis/port.ts';
import { keyCommit } from './state.ts';

/**
 * A key of the online store that one process holds at a time: it is set by comparing what was there, and is gone a while after it was
 * last set, so that a holder that died holds nobody up.
 */
export class HeldKey {
  readonly #store: Pick<OnlineStore, 'read' | 'commit'>;
  readonly #key: string;
  readonly #ttlMs: number;

  constructor(store: Pick<OnlineStore, 'read' | 'commit'>, key: string, ttlMs: number) {
    this.#store = store;
    this.#key = key;
    this.#ttlMs = ttlMs;
  }

  /** Null where nobody holds it. Throws StoreError. */
  async read(): Promise<Uint8Array | null> {
    const [[found = null] = []] = await this.#store.read([[this.#key]]);
    return found;
  }

  /** Sets it where it is as `expected` says; null = where nobody holds it. Throws StoreError. */
  async set(expected: Uint8Array | null, next: Uint8Array): Promise<CommitResult['status']> {
    const [result] = await this.#store.commit([keyCommit(this.#key, expected, next, this.#ttlMs)]);
    return result?.status ?? 'conflict';
  }
}
