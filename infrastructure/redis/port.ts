/** What streams need of the online store. Adapters: Redis (or Valkey), and memory. */

/** One commit to one slot: all or nothing, and only if the meta is still what the caller read. */
export interface Commit {
  readonly metaKey: string;
  /** The whole meta as the caller read it; null = there was none. */
  readonly expected: Uint8Array | null;
  readonly next: Uint8Array;
  /** Keys replaced (before the appends). */
  readonly sets: ReadonlyArray<readonly [key: string, value: Uint8Array]>;
  /** Keys appended to; a missing key is begun. */
  readonly appends: ReadonlyArray<readonly [key: string, value: Uint8Array]>;
  /** Keys deleted (before the sets). */
  readonly deletes: readonly string[];
  /** Wall time until the logs touched expire, ms. */
  readonly logTtlMs: number;
  /** Wall time until the meta expires, ms. */
  readonly metaTtlMs: number;
  /**
   * What the server had dropped when this life of the state began. A commit that begins a log, while the server has dropped more
   * since, is `torn`: the log may have been there.
   */
  readonly evictions?: Evictions | null;
}

export type CommitResult =
  /** `lengths`: length in bytes of each appended log, in order of `appends`. */
  | { readonly status: 'committed'; readonly lengths: readonly number[] }
  /** The meta was not as expected; nothing was written. */
  | { readonly status: 'conflict' }
  /** A write failed half-way, or keys of the state were dropped; the meta now says `torn` (see TORN). Rebuild. */
  | { readonly status: 'torn'; readonly detail: string };

/** What the store puts in the place of a meta whose state can no longer be trusted. */
export const TORN = 'torn';

/** How many keys a server has dropped to make room, in one life of its process. */
export interface Evictions {
  readonly server: string;
  readonly keys: number;
}

/** May a server that had dropped `before.keys` keys have dropped more since? A server that began anew counts from 0. */
export function hasEvicted(before: Evictions, now: Evictions): boolean {
  return now.keys > (now.server === before.server ? before.keys : 0);
}

export interface OnlineStore {
  /** Commits of different slots, sent together, answered in order. At most 500 keys and 512 kB each: the caller cuts. Throws StoreError. */
  commit(commits: readonly Commit[]): Promise<readonly CommitResult[]>;
  /** Each group of keys is one atomic snapshot (one MGET); groups are sent together. */
  read(groups: ReadonlyArray<readonly string[]>): Promise<ReadonlyArray<ReadonlyArray<Uint8Array | null>>>;
  /** What the servers that hold these keys have dropped until now, in order. */
  evictions(keys: readonly string[]): Promise<readonly Evictions[]>;
  /** Keys that begin with `prefix`. It walks over all keys of a server: for tools, and where a stream begins a state, never in its loop. */
  scan(prefix: string): AsyncIterable<string>;
  remove(keys: readonly string[]): Promise<void>;
  /** Bytes the store holds under a prefix, as far as it can tell. */
  usage(prefix: string): Promise<{ readonly keys: number; readonly bytes: number }>;
  close(): Promise<void>;
}
