import { checkCommit, checkGroup } from '../redis/check-request.ts';
import { StoreError } from '../redis/errors.ts';
import { type Commit, type CommitResult, hasEvicted, type OnlineStore, TORN } from '../redis/port.ts';

/** A value grows in place: bytes below `length` never change, so a reader may keep its view of them. */
interface Entry {
  bytes: Uint8Array;
  length: number;
  /** Epoch ms. */
  expires: number;
}

export type StoreSnapshot = ReadonlyMap<string, Readonly<Entry>>;

/** The online store in memory, and what a test can do to it. */
export interface MemoryStore extends OnlineStore {
  snapshot(): StoreSnapshot;
  /** What a failover to an old replica or a cut append-only file does. */
  restore(snapshot: StoreSnapshot): void;
  /** The next commit fails: before anything is stored, or after all of it is and the answer is lost. */
  failNext(when: 'before' | 'after'): void;
  /** The next commit stops half-way and marks its meta. */
  tearNext(): void;
  /** Drops keys, as a server does whose memory is full and whose policy is another than `noeviction`. */
  evict(keys: readonly string[]): void;
  /** While false every call fails as if the server were away. */
  setAvailable(available: boolean): void;
  /** FLUSHALL. */
  clear(): void;
}

/** `now` is the wall clock that expiry counts by. */
export function createMemoryStore(options: { readonly now?: () => number } = {}): MemoryStore {
  const now = options.now ?? Date.now;
  let entries = new Map<string, Entry>();
  let fail: 'before' | 'after' | undefined;
  let tear = false;
  let evicted = 0;
  let available = true;
  let closed = false;

  function live(key: string): Entry | undefined {
    const entry = entries.get(key);
    if (entry === undefined || entry.expires > now()) return entry;
    entries.delete(key);
    return undefined;
  }

  function get(key: string): Uint8Array | null {
    const entry = live(key);
    return entry === undefined ? null : entry.bytes.subarray(0, entry.length);
  }

  function set(key: string, value: Uint8Array, ttlMs: number): void {
    entries.set(key, { bytes: value.slice(), length: value.length, expires: now() + ttlMs });
  }

  function append(key: string, value: Uint8Array, ttlMs: number): number {
    const entry = live(key);
    if (entry === undefined) {
      set(key, value, ttlMs);
      return value.length;
    }
    const length = entry.length + value.length;
    if (length > entry.bytes.length) {
      const larger = new Uint8Array(Math.max(length, entry.bytes.length * 2));
      larger.set(entry.bytes.subarray(0, entry.length));
      entry.bytes = larger;
    }
    entry.bytes.set(value, entry.length);
    entry.length = length;
    entry.expires = now() + ttlMs;
    return length;
  }

  function apply(commit: Commit): CommitResult {
    const current = get(commit.metaKey);
    const same =
      current === null || commit.expected === null
        ? current === commit.expected
        : Buffer.compare(current, commit.expected) === 0;
    if (!same) return { status: 'conflict' };
    if (tear) {
      tear = false;
      for (const key of commit.deletes) entries.delete(key);
      for (const [key, value] of commit.sets.slice(0, 1)) set(key, value, commit.logTtlMs);
      for (const [key, value] of commit.appends.slice(0, Math.ceil(commit.appends.length / 2))) {
        append(key, value, commit.logTtlMs);
      }
      set(commit.metaKey, new TextEncoder().encode(TORN), commit.metaTtlMs);
      return { status: 'torn', detail: 'torn by a test' };
    }
    for (const key of commit.deletes) entries.delete(key);
    for (const [key, value] of commit.sets) set(key, value, commit.logTtlMs);
    const begins = commit.appends.some(([key]) => live(key) === undefined);
    const lengths = commit.appends.map(([key, value]) => append(key, value, commit.logTtlMs));
    if (
      begins &&
      commit.evictions != null &&
      hasEvicted(commit.evictions, { server: 'memory', keys: evicted })
    ) {
      set(commit.metaKey, new TextEncoder().encode(TORN), commit.metaTtlMs);
      return { status: 'torn', detail: 'the server has evicted keys' };
    }
    set(commit.metaKey, commit.next, commit.metaTtlMs);
    return { status: 'committed', lengths };
  }

  function check(): void {
    if (closed) throw new StoreError('closed', 'The store in memory is closed.');
    if (!available) throw new StoreError('unreachable', 'The store in memory is switched off by a test.');
  }

  const copy = (from: ReadonlyMap<string, Readonly<Entry>>) => {
    const to = new Map<string, Entry>();
    // No spare room: an append after a restore must not write into bytes that someone else still sees.
    for (const [key, entry] of from) to.set(key, { ...entry, bytes: entry.bytes.subarray(0, entry.length) });
    return to;
  };

  function* liveKeys(prefix: string): Generator<string> {
    for (const key of [...entries.keys()]) if (key.startsWith(prefix) && live(key) !== undefined) yield key;
  }

  return {
    async commit(commits) {
      for (const commit of commits) checkCommit(commit);
      check();
      const failing = fail;
      fail = undefined;
      if (failing === 'before')
        throw new StoreError('unreachable', 'A test failed this commit before it was stored.');
      const results = commits.map(apply);
      if (failing === 'after') throw new StoreError('answer_lost', 'A test lost the answer of this commit.');
      return results;
    },
    async read(groups) {
      for (const group of groups) checkGroup(group);
      check();
      return groups.map((group) => group.map(get));
    },
    async evictions(keys) {
      check();
      return keys.map(() => ({ server: 'memory', keys: evicted }));
    },
    async *scan(prefix) {
      check();
      yield* liveKeys(prefix);
    },
    async remove(keys) {
      check();
      for (const key of keys) entries.delete(key);
    },
    async usage(prefix) {
      check();
      let keys = 0;
      let bytes = 0;
      for (const key of liveKeys(prefix)) {
        keys++;
        bytes += key.length + (get(key)?.length ?? 0);
      }
      return { keys, bytes };
    },
    async close() {
      closed = true;
    },
    snapshot: () => copy(entries),
    restore(snapshot) {
      entries = copy(snapshot);
    },
    failNext(when) {
      fail = when;
    },
    tearNext() {
      tear = true;
    },
    evict(keys) {
      for (const key of keys) if (entries.delete(key)) evicted += 1;
    },
    setAvailable(value) {
      available = value;
    },
    clear() {
      entries.clear();
    },
  };
}
