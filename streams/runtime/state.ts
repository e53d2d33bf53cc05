import { type Commit, TORN } from '../../infrastructure/redis/port.ts';
import { decodeMeta, type ViewMeta } from '../../processors/meta.ts';
import { MillraceError } from '../../schemas/refusal.ts';

/** Another owner is at the same state; its turn will end, or ours. */
export class Contended extends MillraceError {
  readonly code = 'contended';
  readonly retriable = true;
}

/** A commit failed half-way, and its state says so. */
export function isTorn(bytes: Uint8Array): boolean {
  return bytes.byteLength === TORN.length && Buffer.from(bytes).toString() === TORN;
}

/** The meta of a view partition; null where there is none, or a torn one. Throws UnknownMetaFormat. */
export function wholeMeta(bytes: Uint8Array | null): ViewMeta | null {
  return bytes === null || isTorn(bytes) ? null : decodeMeta(bytes);
}

/** Sets one key that has no logs beside it, where it still is as `expected` says. */
export function keyCommit(key: string, expected: Uint8Array | null, next: Uint8Array, ttlMs: number): Commit {
  return {
    metaKey: key,
    expected,
    next,
    sets: [],
    appends: [],
    deletes: [],
    logTtlMs: ttlMs,
    metaTtlMs: ttlMs,
  };
}
