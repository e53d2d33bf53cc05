import type { Progress } from '../../processors/lateness.ts';
import type { Segment } from '../../processors/segment.ts';
import type { Contribution, Section } from '../../schemas/records/block.ts';
import type { View } from '../../schemas/view.ts';
import type { RawPartition } from './raw-partition.ts';

/** Bounds a record, and with it a commit: with three logs an entity it stays below 500 keys. */
export const MAX_CONTRIBUTIONS = 150;
/** The same in bytes: only long entity keys come to so much. */
export const MAX_SECTION_BYTES = 200_000;

/** Upper bound of the bytes of a contribution. */
export function contributionBytes({ entity, values }: Contribution): number {
  return 40 + entity.length * 3 + values.length * 11;
}

/** Where a record's contributions end that begin at `from`: one at least. */
function pieceEnd(contributions: readonly Contribution[], from: number): number {
  let bytes = 0;
  let to = from;
  for (; to < contributions.length && to - from < MAX_CONTRIBUTIONS; to += 1) {
    bytes += contributionBytes(contributions[to] as Contribution);
    if (bytes > MAX_SECTION_BYTES && to > from) break;
  }
  return to;
}

/** Contributions of a segment to one partition of a view, in source order, and the progress after each. */
export interface Share {
  readonly contributions: Contribution[];
  readonly after: Progress[];
}

export const NOTHING: Share = { contributions: [], after: [] };

/** The shares of a segment, by id of the view and by its partition. */
export function sharesOf(segment: Segment<unknown>): Map<string, Share[]> {
  const byView = new Map<string, Share[]>();
  for (const { view, contributions, partitions, after } of segment.routed) {
    const shares = Array.from({ length: view.partitions }, (): Share => ({ contributions: [], after: [] }));
    for (let i = 0; i < contributions.length; i += 1) {
      const contribution = contributions[i];
      const share = shares[partitions[i] ?? 0];
      if (contribution === undefined || share === undefined) continue;
      share.contributions.push(contribution);
      share.after.push(after[i] ?? segment.progress);
    }
    byView.set(view.id, shares);
  }
  return byView;
}

/**
 * What one view partition is told of a source partition: its share in pieces. The header after the last piece is that of the
 * whole segment; after an earlier one, that of its last event. Without a segment it is a marker.
 */
export function* sectionsOf(
  state: RawPartition,
  progress: Progress,
  segment: Pick<Segment<unknown>, 'from' | 'to'> | undefined,
  share: Share,
  view: Pick<View, 'id' | 'local' | 'outOfOrderness'>,
): Generator<Section> {
  const { contributions, after } = share;
  const from = progress.fed[view.id] ?? segment?.from ?? progress.next;
  let at = 0;
  for (let end = pieceEnd(contributions, at); end < contributions.length; end = pieceEnd(contributions, at)) {
    yield {
      ...headerOf(state, after[end - 1] ?? progress, view),
      from,
      to: contributions[end - 1]?.offset ?? from - 1,
      contributions: contributions.slice(at, end),
    };
    at = end;
  }
  yield {
    ...headerOf(state, progress, view),
    from,
    to: segment?.to ?? progress.next - 1,
    contributions: contributions.slice(at),
  };
}

function headerOf(
  state: RawPartition,
  progress: Progress,
  view: Pick<View, 'local' | 'outOfOrderness'>,
): Omit<Section, 'from' | 'to' | 'contributions'> {
  return {
    topic: state.topic,
    partition: state.partition,
    partitions: state.partitions,
    runningMax: progress.runningMax,
    watermark: state.told(view, progress),
    byClock: progress.byClock,
    idle: !view.local && progress.idle && state.toldIdle,
    turn: progress.turn,
    appendTime: progress.appendTime,
    clockOpen: progress.clockOpen,
    history: null,
  };
}
