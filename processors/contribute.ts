import type { EventRecord } from '../schemas/event.ts';
import type { Contribution } from '../schemas/records/block.ts';
import type { View } from '../schemas/view.ts';
import { entityKey } from './entity-key.ts';

/**
 * What an accepted event of `source` gives to a view: one integer per input (null where it has none).
 * Null where it gives nothing at all: no input speaks, or a part of the key or the view's second time is missing.
 * A pure function of the event, so that live, replay, backfill and training contribute the same.
 */
export function contributionOf(
  view: View,
  source: string,
  event: EventRecord,
  offset: number,
): Contribution | null {
  let speaks = false;
  const values = new Array<number | null>(view.inputs.length);
  for (let i = 0; i < view.inputs.length; i += 1) {
    const input = view.inputs[i];
    const value = input !== undefined && input.source === source ? input.evaluate(event) : null;
    values[i] = value;
    if (value !== null) speaks = true;
  }
  if (!speaks) return null;
  const entity = entityKey(event, view.entity);
  if (entity === null) return null;
  let at: number | null = null;
  if (view.at !== null) {
    const second = event[view.at.field];
    if (typeof second !== 'number') return null;
    at = second;
  }
  return { offset, time: event.time, at, entity, values };
}

/** Whether the event came later after the view's second time than the view declares. */
export function isTooOld(view: View, contribution: Contribution): boolean {
  return (
    view.at !== null && contribution.at !== null && contribution.time - contribution.at > view.at.maxDelay
  );
}
