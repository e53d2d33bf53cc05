import type { EventRecord } from '../schemas/event.ts';
import type { Contribution } from '../schemas/records/block.ts';
import { KEY_SEPARATOR, type View } from '../schemas/view.ts';

/**
 * The entity key of an event for the named fields, or null where one of them is null or empty.
 * A part that holds the separator would make two entities one, so it makes no key.
 */
export function entityKey(event: EventRecord, fields: readonly string[]): string | null {
  let key = '';
  for (let i = 0; i < fields.length; i += 1) {
    const value = event[fields[i] as string];
    if (value === null || value === undefined || value === '') return null;
    const part = String(value);
    if (part.includes(KEY_SEPARATOR)) return null;
    key = i === 0 ? part : key + KEY_SEPARATOR + part;
  }
  return key;
}

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
