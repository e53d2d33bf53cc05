import type { Kafka, KafkaRecord, Reader } from '../../infrastructure/kafka/port.ts';
import { topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { readClock } from '../runtime/clock-record.ts';
import { readTails } from '../runtime/tail.ts';
import { READ_BACK } from './raw-topic.ts';

/** The clocks of a replay that came back: how far its events are answered by every stream. */
export class ReturnedClocks {
  readonly #replay: string;
  /** Latest clock by topic and partition, event time. */
  readonly #latest = new Map<string, number>();
  #reader: Reader | null = null;

  constructor(replay: string) {
    this.#replay = replay;
  }

  /** Reads what an earlier run under this name got back, and goes on from there. */
  async open(kafka: Kafka, project: Project, source: Source): Promise<void> {
    const positions: Array<{ topic: string; partition: number; position: number | 'earliest' }> = [];
    for (const topic of lastTopics(project, source)) {
      const tails = await readTails(kafka, topic, READ_BACK);
      for (let partition = 0; partition < source.partitions; partition += 1) {
        this.#latest.set(`${topic}:${partition}`, Number.NEGATIVE_INFINITY);
        const tail = tails[partition] ?? [];
        for (const record of tail) this.#take(record);
        const last = tail.at(-1);
        positions.push({ topic, partition, position: last === undefined ? 'earliest' : last.offset + 1 });
      }
    }
    this.#reader = await kafka.reader(positions);
  }

  /** The least clock that has come back over all partitions: event time up to there is finished. */
  get finished(): number {
    return Math.min(...this.#latest.values());
  }

  async poll(): Promise<void> {
    for (const { records } of (await this.#reader?.poll(5)) ?? [])
      for (const record of records) this.#take(record);
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }

  #take(record: KafkaRecord): void {
    const mark = readClock(record);
    if (mark === null || mark.replay !== this.#replay) return;
    const key = `${record.topic}:${record.partition}`;
    this.#latest.set(key, Math.max(this.#latest.get(key) ?? Number.NEGATIVE_INFINITY, mark.time));
  }
}

/** Where events of the source end: the predictions of its models, or the validated topic where it has none. */
function lastTopics({ prefix, models }: Project, source: Source): string[] {
  const asked = models.filter(({ request }) => request.source === source.name);
  return asked.length === 0
    ? [topics.validated(prefix, source.name)]
    : asked.map(({ name }) => topics.predictions(prefix, name));
}
