/** Bytes that a remembered id takes: its hash, clock and offset, and two places in the index. */
const BYTES_AN_ID = 32;
/** A memory begins with room for so many, and doubles it. */
export const SMALLEST_MEMORY = 1_024;
/** Ids that are added before the oldest are forgotten: those of one flush of ingest, or of one piece of a file. */
export const KEEP_EVERY = 1_000;

/** What a memory of so many ids takes at most, bytes. */
export function memoryBytes(atMost: number): number {
  return Math.max(SMALLEST_MEMORY, 2 ** Math.ceil(Math.log2(atMost + KEEP_EVERY))) * BYTES_AN_ID;
}
