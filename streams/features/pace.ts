import type { ViewMeta } from '../../processors/meta.ts';
import { BACKLOG_AFTER_MS } from '../runtime/backlog.ts';
import type { FeaturesContext } from './context.ts';
import type { OwnedView } from './view-partition.ts';

/**
 * The least head that compaction keeps readable beside the slack: what readers may still ask for, no further back than the declared
 * time and bytes. Minus infinity before the readers were asked.
 */
export function keepHead({ guards, readers }: FeaturesContext, { view, meta, kept }: OwnedView): number {
  if (!guards.hold) return Number.POSITIVE_INFINITY;
  return Math.max(readers.leastHead(view), boundOf(view.hold, view.slack, meta, kept));
}

function boundOf(
  hold: OwnedView['view']['hold'],
  slack: number,
  { frontier }: ViewMeta,
  kept: OwnedView['kept'],
): number {
  if (frontier === null) return Number.NEGATIVE_INFINITY;
  return Math.max(frontier - slack - hold.time, kept.reach(hold.bytes) - slack);
}

/** Tells once where a reader is further behind than is kept for it. */
export function tellOverHold(context: FeaturesContext, state: OwnedView): void {
  const { readers, waits } = context;
  const { view, meta, kept } = state;
  const least = readers.leastHead(view);
  const over = Number.isFinite(least) && least < boundOf(view.hold, view.slack, meta, kept);
  if (!over) waits.end('hold', state.key);
  else
    waits.note(
      'hold',
      state.key,
      () =>
        `View ${view.id} keeps no more for ${readers.slowest(view)}, which is behind ${new Date(least + view.readDelay).toISOString()}: its oldest requests will be refused as behind. Start its inference, or raise 'hold' or 'hold_megabytes' of the view.`,
    );
}

/** Whether a view partition is so far ahead of its readers in backlog that it should wait for them; only while they move. */
export function isAhead({ guards, readers }: FeaturesContext, { backlog, view, meta }: OwnedView): boolean {
  if (!guards.pace || meta.frontier === null || !backlog) return false;
  const head = readers.movingHead(view);
  return head !== null && meta.frontier > head + view.slack / 2;
}

/**
 * Whether a view partition works off backlog: the newest raw record that sections told of just now was appended long ago. Markers tell of
 * no new record; a replay has a pace of its own. Null where nothing new was told.
 */
export function backlogOf(before: ViewMeta, after: ViewMeta, now: number): boolean | null {
  let newest: number | null = null;
  for (const [key, { mark, appendTime, clockOpen }] of Object.entries(after.sources)) {
    if (clockOpen) return false;
    if (appendTime === null || mark <= (before.sources[key]?.mark ?? -1)) continue;
    newest = Math.max(newest ?? appendTime, appendTime);
  }
  return newest === null ? null : now - newest > BACKLOG_AFTER_MS;
}
