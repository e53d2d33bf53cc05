import { StoreError } from './errors.ts';
import type { Commit } from './port.ts';

/** A function call blocks every reader of the server: the caller cuts its work to these. */
const MAX_COMMIT_KEYS = 500;
const MAX_COMMIT_BYTES = 512 * 1024;

/** Everything up to and including the closing brace: equal for keys of one slot. */
function slotTag(key: string): string {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  if (close <= open + 1) {
    throw new StoreError('bad_request', `Key ${key} names no slot: it needs a part in braces, {like this}.`);
  }
  return key.slice(0, close + 1);
}

/** Keys of one atomic step must share the part up to the closing brace (one Redis Cluster slot). */
function checkSlot(tag: string, key: string): void {
  if (!key.startsWith(tag)) {
    throw new StoreError(
      'bad_request',
      `Keys ${tag}… and ${key} lie in different slots; one commit or read group holds keys of one view partition only.`,
    );
  }
}

/** Bytes of the values of a commit, after checking that it can be one atomic step. */
export function checkCommit(commit: Commit): number {
  const tag = slotTag(commit.metaKey);
  let bytes = commit.next.length + (commit.expected?.length ?? 0);
  for (const [key, value] of commit.sets) {
    checkSlot(tag, key);
    bytes += value.length;
  }
  for (const [key, value] of commit.appends) {
    checkSlot(tag, key);
    bytes += value.length;
  }
  for (const key of commit.deletes) checkSlot(tag, key);
  const count = commit.sets.length + commit.appends.length + commit.deletes.length;
  if (count > MAX_COMMIT_KEYS || bytes > MAX_COMMIT_BYTES) {
    throw new StoreError(
      'bad_request',
      `A commit of ${count} keys and ${bytes} bytes is too large (at most ${MAX_COMMIT_KEYS} and ${MAX_COMMIT_BYTES}); cut it.`,
    );
  }
  for (const ttl of [commit.logTtlMs, commit.metaTtlMs]) {
    if (!Number.isSafeInteger(ttl) || ttl <= 0) {
      throw new StoreError('bad_request', `A time to live of ${ttl} ms is not a whole number above 0.`);
    }
  }
  return bytes;
}

/** A read group is one MGET: keys of one slot. */
export function checkGroup(group: readonly string[]): void {
  const first = group[0];
  if (first === undefined) return;
  const tag = slotTag(first);
  for (const key of group) checkSlot(tag, key);
}
