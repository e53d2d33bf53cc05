import type { EventRecord } from '../schemas/event.ts';
import type { Rejected } from '../schemas/refusal.ts';
import type { IdMemory } from './id-memory.ts';
import { iso } from './lateness.ts';

/** Of a longer id a dead letter's sentence has the beginning. */
const SHOWN = 100;

/** When an event arrived, as repeats are judged, epoch ms: history that does not say is taken at its event time. */
export function arrivalOf(event: EventRecord, arrivedAt: number | null): number {
  return arrivedAt ?? event.time;
}

const inPartition = (offset: number) => `at offset ${offset} of this partition`;

/** Refuses an event that repeats one that was accepted; `placeOf` says where that one stands. */
export function refuseRepeat(
  memory: IdMemory,
  event: EventRecord,
  arrivedAt: number | null,
  placeOf: (offset: number) => string = inPartition,
): Rejected | null {
  const first = memory.find(event.id, arrivalOf(event, arrivedAt));
  if (first === null) return null;
  const id = event.id.length > SHOWN ? `${event.id.slice(0, SHOWN)}…` : event.id;
  return {
    stage: 'deduplicate',
    code: 'duplicate',
    detail: `The id ${JSON.stringify(id)} was accepted ${placeOf(first.offset)}, at ${iso(first.at)}: this is a repeat of it.`,
  };
}
