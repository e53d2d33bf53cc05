import { plant } from '../../infrastructure/readers/planted.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Model, Source } from '../../schemas/project.ts';
import type { ReplayItem } from '../../streams/replay/replay.ts';
import { HISTORY_TO, LABELS_TO, PLANTED_EACH, REPLAY_TO, SEED } from './plan.ts';

const REPLAYED = { from: HISTORY_TO, to: REPLAY_TO };

/** Every event of the replayed days with planted bad ones among them, then the outcomes of requests already sent. */
export async function* demoItems(
  file: HistoryFile,
  source: Source,
  model: Model,
  onPlanted: (records: number) => void,
): AsyncGenerator<readonly ReplayItem[]> {
  const keyOf = (event: EventRecord) => String(event[source.key]);
  const { request, label } = model;
  const joined = (event: EventRecord, side: 'request' | 'label') =>
    label.join.map((pair) => String(event[pair[side]])).join('\n');
  const asked = new Set<string>();
  for await (const batch of plant(file, REPLAYED, { source, seed: SEED, each: PLANTED_EACH, keyOf })) {
    let planted = 0;
    for (const { event, planted: kind } of batch)
      if (kind !== null) planted += 1;
      else if (event?.type === request.eventType) asked.add(joined(event, 'request'));
    onPlanted(planted);
    yield batch;
  }
  for await (const { events, places } of file.read({ from: REPLAY_TO, to: LABELS_TO })) {
    const items: ReplayItem[] = [];
    for (const [i, event] of events.entries())
      if (event.type === label.eventType && asked.has(joined(event, 'label')))
        items.push({ place: 2 * (places[i] ?? 0), time: event.time, key: keyOf(event), event, bytes: null });
    if (items.length > 0) yield items;
  }
}

/** Items that a replay takes at once: where a part ends is asked between two of them. */
const PIECE = 100;

/**
 * One stream of items, taken in parts. A part ends before the first item for which `ends` is true, or at the end of all; the next
 * part goes on there.
 */
export function inParts(items: AsyncIterable<readonly ReplayItem[]>) {
  const iterator = items[Symbol.asyncIterator]();
  let rest: readonly ReplayItem[] = [];
  return async function* part(ends: (item: ReplayItem) => boolean): AsyncGenerator<readonly ReplayItem[]> {
    for (;;) {
      if (rest.length === 0) {
        const next = await iterator.next();
        if (next.done === true) return;
        rest = next.value;
        continue;
      }
      const piece = rest.slice(0, PIECE);
      const cut = piece.findIndex(ends);
      const taken = cut < 0 ? piece : piece.slice(0, cut);
      rest = rest.slice(taken.length);
      if (taken.length > 0) yield taken;
      if (cut >= 0) return;
    }
  };
}
