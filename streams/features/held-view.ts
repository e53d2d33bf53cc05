import type { TopicPartition } from '../../infrastructure/kafka/port.ts';
import { isTooOld } from '../../processors/contribute.ts';
import type { Folder } from '../../processors/fold.ts';
import { applyHeader, type ViewMeta } from '../../processors/meta.ts';
import type { Contribution, Section } from '../../schemas/records/block.ts';
import { MillraceError, type RefusalCode } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';

/** The log of a view partition says that a backfill wrote part of its state, and the state does not know of it. */
export class StateNeedsBackfill extends MillraceError {
  readonly code = 'state_needs_backfill';
  readonly retriable = true;
}

/** A view partition that this process owns. */
export interface HeldView extends TopicPartition {
  readonly view: View;
  /** Raw topics of the view's sources. */
  readonly topics: readonly string[];
  /** Prefix of its keys in the online store. */
  readonly key: string;
  /** The meta as the store has it, byte for byte. */
  expected: Uint8Array | null;
  meta: ViewMeta;
  /** Bytes of each log's last compaction, by key: a hint when to look, never a truth; forgotten at will. */
  readonly compactions: Map<string, number>;
  /** Empty between two commits. */
  readonly folder: Folder;
  /** A backfill is writing it: nothing is folded until its meta says ready. */
  building: boolean;
}

/** A contribution that the view does not take. */
export interface Refused {
  readonly section: Section;
  readonly contribution: Contribution;
  readonly code: RefusalCode;
  readonly detail: string;
}

/** What is known of a view partition before its meta is read. */
export const EMPTY: ViewMeta = {
  status: 'clearing',
  life: '',
  next: 0,
  sources: {},
  frontier: null,
  base: null,
  baseOpen: false,
  oldestExactHead: null,
  history: null,
  applied: 0,
  refused: 0,
};

/**
 * Applies the sections of one block, one by one, in order. A contribution at or below its source's mark is a
 * repeat. One below the frontier as it stood before the block comes too late for tiles that readers have
 * already seen: it is refused.
 */
export function applyBlock(
  state: Pick<HeldView, 'view' | 'topics'>,
  start: ViewMeta,
  sections: readonly Section[],
  folder: Pick<Folder, 'add'>,
  refused: Refused[],
): ViewMeta {
  const before = start.frontier ?? Number.NEGATIVE_INFINITY;
  let meta = start;
  for (const section of sections) {
    if (section.history !== null) {
      if (meta.history === null)
        throw new StateNeedsBackfill(
          `View ${state.view.id} was built from imported history, and its state in the online store is gone or not yet written. Run 'millrace backfill state --to ${new Date(section.history.until).toISOString()}'.`,
        );
      continue;
    }
    const mark = meta.sources[`${section.topic}:${section.partition}`]?.mark ?? -1;
    const refusedBefore = refused.length;
    let taken = 0;
    for (const contribution of section.contributions) {
      if (contribution.offset <= mark) continue;
      taken += 1;
      if (contribution.time < before)
        refused.push({
          section,
          contribution,
          code: 'late_for_view',
          detail: `Event time ${contribution.time} is below the frontier ${before} of ${state.view.id}: its partition was idle and woke with older events.`,
        });
      else if (isTooOld(state.view, contribution))
        refused.push({
          section,
          contribution,
          code: 'too_old',
          detail: `The event came ${contribution.time - (contribution.at ?? 0)} ms after its ${state.view.at?.field}; ${state.view.id} waits ${state.view.at?.maxDelay} ms at most.`,
        });
      else folder.add(contribution);
    }
    const left = refused.length - refusedBefore;
    meta = {
      ...applyHeader(state, meta, section),
      applied: meta.applied + taken - left,
      refused: meta.refused + left,
    };
  }
  return meta;
}
