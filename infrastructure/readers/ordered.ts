import type { HistoryBatch, HistoryFile, HistoryRange } from './port.ts';

/** Events that stand in the order of their times, `events` places in all. */
interface Order extends Pick<HistoryFile, 'path' | 'sha256' | 'rows' | 'duplicates' | 'events'> {
  /** Event time of a place, epoch ms. */
  timeAt(place: number): number;
  /** Makes the batches of one reading: start <= place < end. */
  maker(): (start: number, end: number) => HistoryBatch;
}

/** A file of history over its order: any range of it is found by bisection. */
export function orderedFile({ timeAt, maker, ...file }: Order): HistoryFile {
  const bounds = ({ from, to, after = -1 }: HistoryRange): [start: number, end: number] => [
    Math.max(from === null ? 0 : firstAtOrAfter(file.events, from, timeAt), after + 1),
    to === null ? file.events : firstAtOrAfter(file.events, to, timeAt),
  ];
  return {
    ...file,
    count(range) {
      const [start, end] = bounds(range);
      return Math.max(0, end - start);
    },
    async *read(range) {
      const [start, end] = bounds(range);
      const size = range.batchSize ?? 5_000;
      const make = maker();
      for (let place = start; place < end; place += size) yield make(place, Math.min(place + size, end));
    },
  };
}

/** The first place that is at `time` or later; `length` where none is. */
function firstAtOrAfter(length: number, time: number, at: (place: number) => number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(middle) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
