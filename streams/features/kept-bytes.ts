import type { ViewMeta } from '../../processors/meta.ts';

/** So many points of (frontier, bytes appended) are kept; older neighbours are thinned out. */
const MOST_POINTS = 256;

/**
 * Counts what a view partition keeps for readers that are further behind than its slack: the bytes appended since the frontier
 * passed what they may still ask for. Compaction would make them fewer, so this is an upper bound.
 */
export class KeptBytes {
  /** Ascending in both. */
  #points: Array<{ readonly frontier: number; readonly appended: number }>;
  #appended: number;

  /** Goes on from what the meta says, after a restart too. */
  constructor({ appendedBytes, heldBytes }: Pick<ViewMeta, 'appendedBytes' | 'heldBytes'>) {
    this.#appended = appendedBytes;
    this.#points = [{ frontier: Number.NEGATIVE_INFINITY, appended: appendedBytes - heldBytes }];
  }

  /** After a commit. */
  note({ frontier, appendedBytes }: Pick<ViewMeta, 'frontier' | 'appendedBytes'>): void {
    this.#appended = appendedBytes;
    if (frontier === null || frontier <= (this.#points.at(-1)?.frontier ?? 0)) return;
    this.#points.push({ frontier, appended: appendedBytes });
    if (this.#points.length > MOST_POINTS) this.#points = this.#points.filter((_, i) => i % 2 === 0);
  }

  /** Bytes appended since the frontier was at `time`, epoch ms. */
  since(time: number): number {
    let appended = this.#points[0]?.appended ?? 0;
    for (const point of this.#points) {
      if (point.frontier > time) break;
      appended = point.appended;
    }
    return this.#appended - appended;
  }

  /** The earliest frontier since which no more than `bytes` were appended, epoch ms. */
  reach(bytes: number): number {
    for (const point of this.#points) if (this.#appended - point.appended <= bytes) return point.frontier;
    return this.#points.at(-1)?.frontier ?? Number.NEGATIVE_INFINITY;
  }
}
