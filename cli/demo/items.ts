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

/** Cuts one stream of items in two at an event time; the second begins where the first was left. */
export function splitItems(items: AsyncIterable<readonly ReplayItem[]>, at: number) {
  const iterator = items[Symbol.asyncIterator]();
  let rest: readonly ReplayItem[] = [];
  async function* before(): AsyncGenerator<readonly ReplayItem[]> {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      const cut = next.value.findIndex(({ time }) => time >= at);
      if (cut < 0) {
        yield next.value;
        continue;
      }
      rest = next.value.slice(cut);
      if (cut > 0) yield next.value.slice(0, cut);
      return;
    }
  }
  async function* after(): AsyncGenerator<readonly ReplayItem[]> {
    if (rest.length > 0) yield rest;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  }
  return { before: before(), after: after() };
}
