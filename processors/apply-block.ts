import type { Contribution, Section } from '../schemas/records/block.ts';
import { MillraceError, type RefusalCode } from '../schemas/refusal.ts';
import type { View } from '../schemas/view.ts';
import { isTooOld } from './contribute.ts';
import type { Folder } from './fold.ts';
import { applyHeader, type ViewMeta, type ViewTopics } from './meta.ts';

/** The log of a view partition says that a backfill wrote part of its state, and the state does not know of it. */
export class StateNeedsBackfill extends MillraceError {
  readonly code = 'state_needs_backfill';
  readonly retriable = true;
  readonly view: string;
  /** Event time that the state was built up to, epoch ms. */
  readonly until: number;
  /** Nothing happened before the first imported event. */
  readonly whole: boolean;

  constructor(
    of: Pick<StateNeedsBackfill, 'view' | 'until' | 'whole'>,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.view = of.view;
    this.until = of.until;
    this.whole = of.whole;
  }
}

/** A contribution that the view does not take. */
export interface RefusedContribution {
  readonly section: Section;
  readonly contribution: Contribution;
  readonly code: RefusalCode;
  readonly detail: string;
}

/**
 * Applies the sections of one block, one by one, in order. A contribution at or below its source's mark is a
 * repeat. One below the frontier as it stood before the block comes too late for tiles that readers have
 * already seen: it is refused.
 */
export function applyBlock(
  state: ViewTopics & { readonly view: View },
  start: ViewMeta,
  sections: readonly Section[],
  folder: Pick<Folder, 'add'>,
  refused: RefusedContribution[],
): ViewMeta {
  const before = start.frontier ?? Number.NEGATIVE_INFINITY;
  let meta = start;
  for (const section of sections) {
    if (section.history !== null) {
      if (meta.history === null)
        throw new StateNeedsBackfill(
          { view: state.view.id, ...section.history },
          `View ${state.view.id} was built from imported history, and its state in the online store is gone or not yet written. Run 'millrace backfill state --to ${new Date(section.history.until).toISOString()}${section.history.whole ? ' --whole' : ''}'.`,
        );
      continue;
    }
    const mark = meta.sources[`${section.topic}:${section.partition}`]?.mark ?? -1;
    const refusedBefore = refused.length;
    let taken = 0;
    for (const contribution of section.contributions) {
      if (contribution.offset <= mark) continue;
      taken += 1;
      const reason = refusalOf(state.view, contribution, before);
      if (reason === null) folder.add(contribution);
      else refused.push({ section, contribution, ...reason });
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

function refusalOf(
  view: View,
  contribution: Contribution,
  frontier: number,
): { readonly code: RefusalCode; readonly detail: string } | null {
  if (contribution.time < frontier)
    return {
      code: 'late_for_view',
      detail: `Event time ${contribution.time} is below the frontier ${frontier} of ${view.id}: its partition was idle and woke with older events.`,
    };
  if (isTooOld(view, contribution))
    return {
      code: 'too_old',
      detail: `The event came ${contribution.time - (contribution.at ?? 0)} ms after its ${view.at?.field}; ${view.id} waits ${view.at?.maxDelay} ms at most.`,
    };
  return null;
}
