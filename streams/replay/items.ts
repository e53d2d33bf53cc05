import type { EventRecord } from '../../schemas/event.ts';

/** A record to replay: an event to encode, or bytes (null among them) sent as they are. */
export interface ReplayItem {
  /** Ascending over the items of one partition, the same at every reading. */
  readonly place: number;
  /** Where it stands in event time, epoch ms. */
  readonly time: number;
  readonly key: string;
  readonly event: EventRecord | null;
  readonly bytes: Uint8Array | null;
  /** The encoded event is sent without its last byte. */
  readonly cut?: boolean;
  /** The record's key where it is another than the bytes of `key`. */
  readonly keyBytes?: Uint8Array | null;
  /** Raw partition; where absent, that of the key. */
  readonly partition?: number;
  /** When it first arrived at Kafka, epoch ms: its time counts no further than that. Null or absent where that is not known. */
  readonly arrivedAt?: number | null;
}

/** The items of one source, in the order they are to have in their partitions. */
export interface ReplayInput {
  readonly source: string;
  readonly items: AsyncIterable<readonly ReplayItem[]>;
}

/** Items of one source that go one after another. */
export interface Stretch {
  readonly source: string;
  readonly items: readonly ReplayItem[];
}

interface Head {
  readonly source: string;
  readonly iterator: AsyncIterator<readonly ReplayItem[]>;
  batch: readonly ReplayItem[];
  at: number;
  /** Largest time of the source so far, the next item's among them: inside a source the order stays. */
  position: number;
}

/** The inputs of a replay as one stream, in order of event time. */
export class MergedItems {
  readonly #heads: Head[];

  private constructor(heads: Head[]) {
    this.#heads = heads;
  }

  /** Reads the first items of every input. */
  static async open(inputs: readonly ReplayInput[]): Promise<MergedItems> {
    const heads: Head[] = [];
    for (const { source, items } of inputs) {
      const iterator = items[Symbol.asyncIterator]();
      const head: Head = { source, iterator, batch: [], at: 0, position: Number.NEGATIVE_INFINITY };
      if (await fill(head)) heads.push(head);
    }
    return new MergedItems(heads);
  }

  /** Before anything is read: where each source begins in event time, epoch ms. Sources without items are not named. */
  firstTimes(): ReadonlyMap<string, number> {
    return new Map(this.#heads.map(({ source, position }) => [source, position]));
  }

  async *read(): AsyncGenerator<Stretch> {
    const heads = this.#heads;
    while (heads.length > 0) {
      const { first, until } = earliest(heads);
      const { batch, at } = first;
      let end = at + 1;
      for (; end < batch.length; end += 1) {
        const position = Math.max(first.position, batch[end]?.time ?? 0);
        if (position > until) break;
        first.position = position;
      }
      first.at = end;
      const there = end < batch.length ? advance(first) : await fill(first);
      if (!there) heads.splice(heads.indexOf(first), 1);
      yield { source: first.source, items: at === 0 && end === batch.length ? batch : batch.slice(at, end) };
    }
  }

  /** Lets go of what has not been read. */
  async close(): Promise<void> {
    await Promise.all(this.#heads.map(({ iterator }) => iterator.return?.()));
  }
}

/** The source whose next item is earliest, and how far it may go before another one's turn. */
function earliest(heads: readonly Head[]): { readonly first: Head; readonly until: number } {
  let first = heads[0] as Head;
  for (const head of heads) if (head.position < first.position) first = head;
  let until = Number.POSITIVE_INFINITY;
  for (const head of heads) if (head !== first && head.position < until) until = head.position;
  return { first, until };
}

function advance(head: Head): true {
  head.position = Math.max(head.position, head.batch[head.at]?.time ?? 0);
  return true;
}

/** Takes the next batch that is not empty. False at the end. */
async function fill(head: Head): Promise<boolean> {
  for (;;) {
    const next = await head.iterator.next();
    if (next.done === true) return false;
    if (next.value.length === 0) continue;
    head.batch = next.value;
    head.at = 0;
    return advance(head);
  }
}
