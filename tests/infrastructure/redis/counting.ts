import { setTimeout as sleep } from 'node:timers/promises';
import { StoreError } from '../../../infrastructure/redis/errors.ts';
import type { OnlineStore } from '../../../infrastructure/redis/port.ts';

const PAUSE_MS = 5;
const WITHIN_MS = 30_000;

export interface Counting {
  /** Resolves once every place has taken `more` commits more. Throws after half a minute. */
  reached(more: number): Promise<void>;
  /** Throws what was not a StoreError, and where a log is not what its meta says. */
  stop(): Promise<{ readonly failures: readonly StoreError[]; readonly conflicts: number }>;
}

/**
 * Keeps state as features does: each commit appends a byte to the log `w:n` and to a log of its own, against the meta that was
 * read, which counts them; after any failure or conflict the meta is read again. Whatever a store forgets or repeats, a log is as
 * long as its meta says, in each snapshot.
 */
export function countUp(store: OnlineStore, places: readonly string[]): Counting {
  const failures: StoreError[] = [];
  const bugs: string[] = [];
  const committed = places.map(() => 0);
  let conflicts = 0;
  let stopped = false;

  const decode = (bytes: Uint8Array | null | undefined) => (bytes == null ? 0 : Number(Buffer.from(bytes)));

  async function keep(place: string, index: number): Promise<void> {
    const metaKey = `${place}:meta`;
    const log = `${place}:w:n`;
    let meta: Uint8Array | null | undefined;
    while (!stopped) {
      try {
        if (meta === undefined) {
          const [[found = null, bytes = null] = []] = await store.read([[metaKey, log]]);
          if (decode(found) !== (bytes?.length ?? 0))
            bugs.push(`${place}: the meta says ${decode(found)}, the log has ${bytes?.length ?? 0}`);
          meta = found;
        }
        const count = decode(meta) + 1;
        const next = Buffer.from(String(count));
        const one = Uint8Array.from([count & 255]);
        const [result] = await store.commit([
          {
            metaKey,
            expected: meta,
            next,
            sets: [],
            appends: [
              [log, one],
              [`${place}:w:${count}`, one],
            ],
            deletes: [],
            logTtlMs: 600_000,
            metaTtlMs: 600_000,
          },
        ]);
        if (result?.status === 'committed') {
          committed[index] = (committed[index] ?? 0) + 1;
          meta = next;
          if (result.lengths[0] !== count) bugs.push(`${place}: ${count} gave a log of ${result.lengths[0]}`);
        } else {
          conflicts += 1;
          meta = undefined;
          if (result?.status === 'torn') bugs.push(`${place}: torn, ${result.detail}`);
        }
      } catch (error) {
        meta = undefined;
        if (error instanceof StoreError) failures.push(error);
        else bugs.push(String(error));
      }
      await sleep(PAUSE_MS);
    }
  }

  const running = Promise.all(places.map(keep));
  return {
    async reached(more) {
      const from = [...committed];
      for (const end = Date.now() + WITHIN_MS; ; await sleep(20)) {
        if (committed.every((count, i) => count >= (from[i] ?? 0) + more)) return;
        if (Date.now() > end)
          throw new Error(
            `not all places took ${more} commits more: ${committed.join(', ')}, from ${from.join(', ')}; last failure: ${failures.at(-1)?.message}`,
          );
      }
    },
    async stop() {
      stopped = true;
      await running;
      if (bugs.length > 0) throw new Error(bugs.slice(0, 5).join('\n'));
      return { failures, conflicts };
    },
  };
}
