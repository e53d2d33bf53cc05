import type { Consumer, Poll, TopicFacts, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { Progress } from '../../processors/lateness.ts';
import { MillraceError } from '../../schemas/refusal.ts';

/** A raw topic is not the one that was read so far, or no longer holds the place that was come to. */
export class RawTopicChanged extends MillraceError {
  readonly code = 'raw_topic_changed';
  readonly retriable = false;
}

/** Who makes a raw topic. */
export const whoMakes = (foreign: boolean) => (foreign ? 'its owner must make' : "'millrace apply' makes");

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}:${partition}`;

/**
 * The raw topics as ingest counts them. Offsets of a source partition never go back: where a topic was deleted and made again, and somebody
 * has decided from where the new one is read, `shift` is what its own offsets are counted on by. Everybody after ingest knows counted offsets
 * alone; here they become the broker's and back.
 */
export class RawLogs implements Consumer {
  readonly #consumer: Consumer;
  readonly #shifts = new Map<string, number>();
  #facts: ReadonlyMap<string, TopicFacts> = new Map();

  constructor(consumer: Consumer) {
    this.#consumer = consumer;
  }

  /** Takes what a partition's progress says of its topic. */
  learn(place: TopicPartition, { shift }: Pick<Progress, 'shift'>): void {
    if (shift === 0) this.#shifts.delete(keyOf(place));
    else this.#shifts.set(keyOf(place), shift);
  }

  #shift(place: TopicPartition): number {
    return this.#shifts.get(keyOf(place)) ?? 0;
  }

  /** Asks the broker which topics there are. Throws KafkaError. */
  async look(): Promise<void> {
    this.#facts = new Map((await this.#consumer.facts()).map((facts) => [facts.topic, facts]));
  }

  /** The id of the topic as it is now; null where the broker does not tell. */
  idOf(topic: string): string | null {
    return this.#facts.get(topic)?.id ?? null;
  }

  partitionsOf(topic: string): number {
    return this.#facts.get(topic)?.partitions ?? 0;
  }

  /** Whether the topic is there, and the one that the progress is of. Where nothing was read of it, any is. */
  isSame(
    { topic, partition }: TopicPartition,
    { next, topicId }: Pick<Progress, 'next' | 'topicId'>,
  ): boolean {
    if (this.#facts.size === 0) return true; // Nobody has asked yet.
    const facts = this.#facts.get(topic);
    if (facts === undefined) return false;
    const known = next > 0 && topicId !== null && facts.id !== null;
    return facts.partitions > partition && (!known || facts.id === topicId);
  }

  /**
   * Why each partition may not be read on, in a sentence that names the command that decides; null where it may. What is
   * missing in front of the place is no reason: that is told as a cut.
   */
  async reasons(
    places: ReadonlyArray<
      TopicPartition & { readonly source: string; readonly foreign: boolean; readonly progress: Progress }
    >,
  ): Promise<ReadonlyArray<RawTopicChanged | null>> {
    const there = places.filter((place) => this.isSame(place, place.progress));
    const ends = await this.ends(there);
    const endOf = new Map(there.map((place, i) => [keyOf(place), ends[i] ?? 0]));
    return places.map((place) => {
      const { topic, partition, source, foreign, progress } = place;
      const decide = `Decide what is read of it: 'millrace topics accept ${source} --from start' reads all that it holds as new, '--from end' only what comes from now on.`;
      const name = `${topic} partition ${partition}`;
      if (this.partitionsOf(topic) <= partition)
        return new RawTopicChanged(
          `${name} is not there: the topic was deleted. Ingest of ${source} stands still; ${whoMakes(foreign)} the topic again.`,
        );
      const end = endOf.get(keyOf(place));
      if (end === undefined)
        return new RawTopicChanged(
          `${name} is not the one that ingest read up to offset ${progress.next - progress.shift}: the topic was deleted and made again, or restored. Ingest of ${source} stands still. ${decide}`,
        );
      if (end < progress.next)
        return new RawTopicChanged(
          `${name} ends at offset ${end - progress.shift}, and ingest had read it up to ${progress.next - progress.shift}: the topic was made again, restored from a copy, or lost its end. Ingest of ${source} stands still. ${decide}`,
        );
      return null;
    });
  }

  async poll(maxWaitMs: number): Promise<Poll> {
    const poll = await this.#consumer.poll(maxWaitMs);
    if (this.#shifts.size === 0) return poll;
    return {
      ...poll,
      batches: poll.batches.map((batch) => {
        const shift = this.#shift(batch);
        if (shift === 0) return batch;
        return {
          ...batch,
          records: batch.records.map((record) => ({ ...record, offset: record.offset + shift })),
          highWatermark: batch.highWatermark + shift,
        };
      }),
      cut: poll.cut.map((cut) => ({ ...cut, start: cut.start + this.#shift(cut) })),
    };
  }

  /** The broker's offset for a counted one. */
  positionOf(place: TopicPartition, offset: number): number {
    return Math.max(0, offset - this.#shift(place));
  }

  seek(place: TopicPartition, offset: number): Promise<void> {
    return this.#consumer.seek(place, this.positionOf(place, offset));
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#consumer.pause(partitions);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#consumer.resume(partitions);
  }

  commit(offsets: ReadonlyArray<TopicPartition & { readonly offset: number }>): Promise<void> {
    return this.#consumer.commit(
      offsets.map(({ topic, partition, offset }) => ({
        topic,
        partition,
        offset: this.positionOf({ topic, partition }, offset),
      })),
    );
  }

  assignment(): readonly TopicPartition[] {
    return this.#consumer.assignment();
  }

  moved(): boolean {
    return this.#consumer.moved();
  }

  async atEnd(partitions: readonly TopicPartition[]): Promise<ReadonlyArray<number | null>> {
    const there = partitions.filter(({ topic, partition }) => this.#isThere(topic, partition));
    const ends = await this.#orGone(() => this.#consumer.atEnd(there));
    return partitions.map((place) => {
      const end = ends[there.indexOf(place)] ?? null;
      return end === null ? null : end + this.#shift(place);
    });
  }

  /** A partition that is not there has no end: 0. */
  async ends(partitions: readonly TopicPartition[]): Promise<readonly number[]> {
    const there = partitions.filter(({ topic, partition }) => this.#isThere(topic, partition));
    const ends = there.length === 0 ? [] : await this.#orGone(() => this.#consumer.ends(there));
    return partitions.map((place) => {
      const end = ends[there.indexOf(place)];
      return end === undefined ? 0 : end + this.#shift(place);
    });
  }

  #isThere(topic: string, partition: number): boolean {
    return this.#facts.size === 0 || this.partitionsOf(topic) > partition;
  }

  /** What is asked of several topics fails where one of them is gone: then nothing is known of any, until it is seen that it is gone. */
  async #orGone<T>(ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
    try {
      return await ask();
    } catch (error) {
      await this.look();
      if ([...this.#facts.values()].every(({ partitions }) => partitions > 0)) throw error;
      return [];
    }
  }

  facts(): Promise<readonly TopicFacts[]> {
    return this.#consumer.facts();
  }

  close(): Promise<void> {
    return this.#consumer.close();
  }
}
