import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Commit, CommitResult } from './port.ts';
import { RequestWriter } from './wire.ts';

const template = readFileSync(new URL('./commit.lua', import.meta.url), 'utf8');
const version = createHash('sha256').update(template).digest('hex').slice(0, 8);

/** The library that a server must have loaded, and the function in it. */
export const LIBRARY = template.replaceAll('@VERSION@', version);
export const FUNCTION = `millrace_commit_${version}`;

export function encodeCommit(commit: Commit): Buffer {
  const { metaKey, expected, next, deletes, sets, appends, evictions = null } = commit;
  const fixed = [
    String(commit.logTtlMs),
    String(commit.metaTtlMs),
    String(deletes.length),
    String(sets.length),
    evictions?.server ?? '',
    String(evictions?.keys ?? 0),
  ];
  let size = 384 + RequestWriter.room(metaKey) + next.length + (expected?.length ?? 0);
  for (const text of fixed) size += RequestWriter.room(text);
  for (const key of deletes) size += RequestWriter.room(key);
  for (const [key, value] of sets) size += RequestWriter.room(key) + RequestWriter.room(value);
  for (const [key, value] of appends) size += RequestWriter.room(key) + RequestWriter.room(value);
  const parts = 7 + fixed.length + deletes.length + 2 * (sets.length + appends.length);
  const request = new RequestWriter(parts, size);
  request.text('FCALL');
  request.text(FUNCTION);
  request.text(String(1 + deletes.length + sets.length + appends.length));
  request.text(metaKey);
  for (const key of deletes) request.text(key);
  for (const [key] of sets) request.text(key);
  for (const [key] of appends) request.text(key);
  request.text(expected === null ? '0' : '1');
  request.bytes(expected ?? new Uint8Array(0));
  request.bytes(next);
  for (const text of fixed) request.text(text);
  for (const [, value] of sets) request.bytes(value);
  for (const [, value] of appends) request.bytes(value);
  return request.finish();
}

export function encodeRead(group: readonly string[]): Buffer {
  let size = 64;
  for (const key of group) size += RequestWriter.room(key);
  const request = new RequestWriter(1 + group.length, size);
  request.text('MGET');
  for (const key of group) request.text(key);
  return request.finish();
}

export function decodeCommit(reply: unknown): CommitResult {
  if (!Array.isArray(reply)) throw new Error('the commit function gave no list');
  const status: unknown = reply[0];
  if (status === 1) return { status: 'committed', lengths: reply.slice(1) };
  if (status === 0) return { status: 'conflict' };
  const detail: unknown = reply[1];
  return { status: 'torn', detail: Buffer.isBuffer(detail) ? detail.toString() : String(detail) };
}
