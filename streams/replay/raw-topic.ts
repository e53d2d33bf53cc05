import type { Kafka, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { headers } from '../../schemas/names.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import { textOf } from '../runtime/clock-record.ts';
import { readTails } from '../runtime/tail.ts';

/** Records of the end of a partition among which the last one of a replay is looked for. */
export const READ_BACK = 5_000;

/** The raw topic as a replay writes it: each of its places once, whatever fails on the way. */
export class RawTopic {
  readonly #kafka: Kafka;
  readonly #clock: Clock;
  readonly #topic: string;
  readonly #replay: string;
  readonly #checkpoint: Checkpoint;
  readonly #lastPlace = new Map<number, number>();
  #begun = false;

  constructor(
    { kafka, clock }: { readonly kafka: Kafka; readonly clock: Clock },
    topic: string,
    replay: string,
  ) {
    this.#kafka = kafka;
    this.#clock = clock;
    this.#topic = topic;
    this.#replay = replay;
    this.#checkpoint = new Checkpoint({ kafka });
  }

  /** Whether anything of this replay stood there when it was read. */
  get begun(): boolean {
    return this.#begun;
  }

  holds(partition: number, place: number): boolean {
    return place <= (this.#lastPlace.get(partition) ?? -1);
  }

  /** Looks in the end of each partition for the last place of this replay. */
  async readBack(): Promise<void> {
    for (const [partition, tail] of (await readTails(this.#kafka, this.#topic, READ_BACK)).entries())
      for (const record of tail) {
        if (textOf(record, headers.replay) !== this.#replay) continue;
        this.#begun = true;
        const place = textOf(record, headers.place);
        if (place !== null && !this.holds(partition, Number(place)))
          this.#lastPlace.set(partition, Number(place));
      }
  }

  /** Sends, and after a failure sends again what the topic does not hold yet; a clock may stand there twice. */
  async send(records: readonly OutgoingRecord[], signal: AbortSignal): Promise<void> {
    let left = records;
    for (let pause = 50; left.length > 0; pause = Math.min(2 * pause, 2_000)) {
      try {
        await this.#checkpoint.flush({ outputs: [left] });
        return;
      } catch (error) {
        if (!(error instanceof MillraceError) || !error.retriable || signal.aborted) throw error;
        await this.#clock.sleep(pause);
        await this.readBack();
        left = left.filter(({ partition, headers: own }) => {
          const place = own?.[headers.place];
          return place === undefined || !this.holds(partition, Number(place));
        });
      }
    }
  }

  async close(): Promise<void> {
    await this.#checkpoint.close();
  }
}
