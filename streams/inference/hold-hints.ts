import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { DAY } from '../../schemas/time.ts';
import { encodeHold } from '../runtime/hold.ts';
import { keyCommit } from '../runtime/state.ts';

const HINT_TTL_MS = 30 * DAY;

/**
 * Writes what the partitions of a model may still ask for, so that features keeps it (streams/features/readers.ts). A hint: what
 * cannot be written is written the next time.
 */
export class HoldHints {
  readonly #store: Pick<OnlineStore, 'read' | 'commit'>;
  readonly #keyOf: (partition: number) => string;
  readonly #written = new Map<number, Uint8Array | null>();

  constructor(store: Pick<OnlineStore, 'read' | 'commit'>, keyOf: (partition: number) => string) {
    this.#store = store;
    this.#keyOf = keyOf;
  }

  /** Least event time by partition, epoch ms. */
  async write(least: ReadonlyMap<number, number>): Promise<void> {
    const known = [...least].filter(([, time]) => Number.isFinite(time));
    const changed = known.filter(([partition, time]) => {
      const before = this.#written.get(partition);
      return before === undefined || before === null || Buffer.compare(before, encodeHold(time)) !== 0;
    });
    if (changed.length === 0) return;
    try {
      const unread = changed.filter(([partition]) => !this.#written.has(partition));
      const found = await this.#store.read(unread.map(([partition]) => [this.#keyOf(partition)]));
      for (const [i, [partition]] of unread.entries()) this.#written.set(partition, found[i]?.[0] ?? null);
      const results = await this.#store.commit(
        changed.map(([partition, time]) => {
          const before = this.#written.get(partition) ?? null;
          return keyCommit(this.#keyOf(partition), before, encodeHold(time), HINT_TTL_MS);
        }),
      );
      for (const [i, [partition, time]] of changed.entries())
        if (results[i]?.status === 'committed') this.#written.set(partition, encodeHold(time));
        else this.#written.delete(partition);
    } catch {
      this.#written.clear();
    }
  }
}
