import { keys } from '../../schemas/names.ts';
import { STUCK_AFTER_MS } from '../runtime/backlog.ts';
import type { ViewPartition } from '../runtime/partitions.ts';
import type { SnapshotReader } from './snapshot.ts';
import type { Target } from './vector.ts';

/** Where a request must be able to read, and from when on. */
type Place = Pick<Target, 'of' | 'head'>;

interface Frontier {
  time: number;
  /** When it was last seen to come further. */
  movedAt: number;
}

/**
 * Knows how far the frontiers have come. A frontier never falls within a life of the state, so what was once
 * seen may be trusted for opening the gate; the read itself takes its as-of from its own snapshot.
 */
export class Frontiers {
  readonly #snapshots: SnapshotReader;
  readonly #partitions: readonly ViewPartition[];
  readonly #now: () => number;
  readonly #frontiers = new Map<string, Frontier>();

  constructor(snapshots: SnapshotReader, partitions: readonly ViewPartition[], now: () => number) {
    this.#snapshots = snapshots;
    this.#partitions = partitions;
    this.#now = now;
  }

  /** Whether every read of a request can be had at its full head. */
  reached(targets: readonly Place[]): boolean {
    for (const { of, head } of targets) if (this.#timeOf(of) < head) return false;
    return true;
  }

  /** Whether a frontier that a request waits for has come further lately, or since `since`. */
  moves(targets: readonly Place[], since: number): boolean {
    const now = this.#now();
    return targets.some(
      ({ of, head }) =>
        this.#timeOf(of) < head &&
        now - Math.max(since, this.#frontiers.get(of.key)?.movedAt ?? since) < STUCK_AFTER_MS,
    );
  }

  /** Reads the metas again, all in one round trip. */
  async look(): Promise<void> {
    const found = await this.#snapshots.read(this.#partitions.map((of) => ({ of, entities: [] })));
    const now = this.#now();
    for (const [i, { key }] of this.#partitions.entries()) {
      const time =
        (found[i]?.unreadable === null ? found[i]?.meta?.frontier : null) ?? Number.NEGATIVE_INFINITY;
      const known = this.#frontiers.get(key);
      if (known === undefined) this.#frontiers.set(key, { time, movedAt: now });
      else {
        if (time > known.time) known.movedAt = now;
        known.time = time;
      }
    }
  }

  /** The least of those that have begun, as of the last look: ingest sends nothing older any more. Minus infinity where none has. */
  least(): number {
    const begun = [...this.#frontiers.values()].map(({ time }) => time).filter(Number.isFinite);
    return begun.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...begun);
  }

  /** What a request still waits for, for a person. */
  missing(targets: readonly Place[]): string {
    return targets
      .filter(({ of, head }) => this.#timeOf(of) < head)
      .map(
        ({ of, head }) =>
          `${keys.meta(of.key)} has frontier ${this.#frontiers.get(of.key)?.time ?? 'none'}, head is ${head}`,
      )
      .join('; ');
  }

  #timeOf({ key }: ViewPartition): number {
    return this.#frontiers.get(key)?.time ?? Number.NEGATIVE_INFINITY;
  }
}
