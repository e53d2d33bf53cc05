import { keys } from '../../schemas/names.ts';
import type { SnapshotReader, ViewPartition } from './snapshot.ts';
import type { Target } from './vector.ts';

/**
 * Knows how far the frontiers have come. A frontier never falls within a life of the state, so what was once
 * seen may be trusted for opening the gate; the read itself takes its as-of from its own snapshot.
 */
export class Gate {
  readonly #snapshots: SnapshotReader;
  readonly #partitions: readonly ViewPartition[];
  readonly #frontiers = new Map<string, number>();

  constructor(snapshots: SnapshotReader, partitions: readonly ViewPartition[]) {
    this.#snapshots = snapshots;
    this.#partitions = partitions;
  }

  /** Whether every read of a request can be had at its full head. */
  open(targets: readonly Target[]): boolean {
    for (const { of, head } of targets)
      if ((this.#frontiers.get(of.key) ?? Number.NEGATIVE_INFINITY) < head) return false;
    return true;
  }

  /** Reads the metas again, all in one round trip. */
  async look(): Promise<void> {
    const found = await this.#snapshots.read(this.#partitions.map((of) => ({ of, entities: [] })));
    for (const [i, { key }] of this.#partitions.entries()) {
      const frontier = found[i]?.unreadable === null ? found[i]?.meta?.frontier : null;
      this.#frontiers.set(key, frontier ?? Number.NEGATIVE_INFINITY);
    }
  }

  /** What a request still waits for, for a person. */
  missing(targets: readonly Target[]): string {
    const behind = targets.filter(
      ({ of, head }) => (this.#frontiers.get(of.key) ?? Number.NEGATIVE_INFINITY) < head,
    );
    return behind
      .map(
        ({ of, head }) =>
          `${keys.meta(of.key)} has frontier ${this.#frontiers.get(of.key) ?? 'none'}, head is ${head}`,
      )
      .join('; ');
  }
}
