import type { Kafka, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { partitionOf } from '../../processors/partition.ts';
import type { Clock } from '../../schemas/clock.ts';
import { headers, rawTopic } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import { textOf } from '../runtime/clock-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { readTails } from '../runtime/tail.ts';
import { ofAnybody } from '../runtime/topic.ts';
import type { ReplayItem } from './items.ts';

/** Records of the end of a partition among which the last one of a replay is looked for. */
export const READ_BACK = 5_000;

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

export interface RawTopicsOptions {
  readonly prefix: string;
  /** Name of the replay. */
  readonly replay: string;
  readonly sources: readonly Source[];
  /** Resolves while this process may write; throws where it may not any more. */
  readonly mayWrite: () => Promise<void>;
}

export interface RawTopicsDeps {
  readonly kafka: Kafka;
  readonly clock: Clock;
  readonly codecs: Pick<Codecs, 'encodeRaw'>;
}

/** The raw topics as a replay writes them: each of its places once, whatever fails on the way. */
export class RawTopics {
  readonly #deps: RawTopicsDeps;
  readonly #options: RawTopicsOptions;
  readonly #checkpoint: Checkpoint;
  /** By `topic:partition`. */
  readonly #lastPlace = new Map<string, number>();
  #begun = false;

  constructor(deps: RawTopicsDeps, options: RawTopicsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#checkpoint = new Checkpoint({ kafka: deps.kafka });
  }

  /** Whether anything of this replay stood there when they were read. */
  get begun(): boolean {
    return this.#begun;
  }

  topicOf(source: Source): string {
    return rawTopic(this.#options.prefix, source);
  }

  partitionOf(source: Source, { key, partition }: ReplayItem): number {
    return partition ?? partitionOf(key, source.partitions);
  }

  holds(topic: string, partition: number, place: number): boolean {
    return place <= (this.#lastPlace.get(`${topic}:${partition}`) ?? -1);
  }

  recordOf(source: Source, item: ReplayItem): OutgoingRecord {
    const { event, bytes, cut, place, arrivedAt = null } = item;
    const encoded = event === null ? bytes : this.#deps.codecs.encodeRaw(source.name, event);
    const value = cut === true && encoded !== null ? encoded.subarray(0, encoded.byteLength - 1) : encoded;
    return {
      topic: this.topicOf(source),
      partition: this.partitionOf(source, item),
      key: item.keyBytes === undefined ? Buffer.from(item.key) : item.keyBytes,
      value,
      headers: {
        [headers.replay]: this.#options.replay,
        [headers.place]: String(place),
        ...(arrivedAt === null ? {} : { [headers.arrivedAt]: String(arrivedAt) }),
      },
    };
  }

  /** Looks in the end of each partition for the last place of this replay. */
  async readBack(): Promise<void> {
    const { replay, sources } = this.#options;
    for (const topic of sources.map((source) => this.topicOf(source)))
      for (const [partition, tail] of (
        await readTails(ofAnybody(this.#deps.kafka), topic, READ_BACK)
      ).entries())
        for (const record of tail) {
          if (textOf(record, headers.replay) !== replay) continue;
          this.#begun = true;
          const place = textOf(record, headers.place);
          if (place !== null && !this.holds(topic, partition, Number(place)))
            this.#lastPlace.set(`${topic}:${partition}`, Number(place));
        }
  }

  /** Sends, and after a failure sends again what the topics do not hold yet; a clock may stand there twice. */
  async send(records: readonly OutgoingRecord[], signal: AbortSignal): Promise<void> {
    let left = records;
    for (let pause = FIRST_PAUSE_MS; left.length > 0; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await this.#options.mayWrite();
      try {
        await this.#checkpoint.flush({ outputs: [left] });
        return;
      } catch (error) {
        if (!(error instanceof MillraceError) || !error.retriable || signal.aborted) throw error;
        await this.#deps.clock.sleep(pause);
        await this.readBack();
        left = left.filter(({ topic, partition, headers: own }) => {
          const place = own?.[headers.place];
          return place === undefined || !this.holds(topic, partition, Number(place));
        });
      }
    }
  }

  async close(): Promise<void> {
    await this.#checkpoint.close();
  }
}
