import { TORN } from '../../infrastructure/redis/port.ts';
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
