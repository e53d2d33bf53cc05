import { assignRoundRobin } from '../kafka/assign.ts';
import { KafkaError } from '../kafka/errors.ts';
import { fairShare } from '../kafka/fair-share.ts';
import type {
  Consumer,
  ConsumerOptions,
  PartitionBatch,
  Poll,
  TopicFacts,
  TopicPartition,
} from '../kafka/port.ts';
import type { Logs, PartitionLog } from './broker-log.ts';

/** A consumer group: eager rebalances, round-robin over its members in the order in which they joined. */
export class Group {
  generation = 0;
  readonly members: GroupMember[] = [];
  readonly committed = new Map<string, number>();
  readonly #logs: Logs;

  constructor(logs: Logs) {
    this.#logs = logs;
  }

  join(member: GroupMember): void {
    this.members.push(member);
    this.#rebalance();
  }

  leave(member: GroupMember): void {
    const at = this.members.indexOf(member);
    if (at < 0) return;
    this.members.splice(at, 1);
    this.#rebalance();
  }

  /** Topics have got more partitions: they are dealt anew. */
  grown(): void {
    if (this.members.length > 0) this.#rebalance();
  }

  #rebalance(): void {
    this.generation++;
    const subscribers = this.members.map((member, i) => ({ id: String(i), topics: member.topics }));
    const shares = assignRoundRobin(subscribers, (topic) => this.#logs.topic(topic));
    for (const [i, member] of this.members.entries()) {
      member.told = { generation: this.generation, logs: shares.get(String(i)) ?? [] };
    }
  }
}

interface AssignedPartition {
  /** Another one after the topic was deleted and made again. */
  log: PartitionLog;
  position: number;
  paused: boolean;
}

const keyOf = (at: TopicPartition) => `${at.topic}:${at.partition}`;
const placeOf = (one: AssignedPartition): TopicPartition => ({
  topic: one.log.topic,
  partition: one.log.partition,
});

export class GroupMember implements Consumer {
  /** What the group has decided for this member; taken up by its next poll. */
  told: { readonly generation: number; readonly logs: readonly PartitionLog[] } = { generation: 0, logs: [] };
  readonly #logs: Logs;
  readonly #group: Group;
  readonly #options: ConsumerOptions;
  readonly #step: (operation: 'poll' | 'commit' | 'ends') => Promise<void>;
  readonly #topics: ReadonlySet<string>;
  #generation = 0;
  #assigned = new Map<string, AssignedPartition>();
  #first = 0;
  /** Ends of the logs when this member was thrown out without noticing: it sees nothing after them. */
  #zombie: Map<PartitionLog, number> | null = null;
  #closed = false;

  constructor(
    logs: Logs,
    group: Group,
    options: ConsumerOptions,
    step: (operation: 'poll' | 'commit' | 'ends') => Promise<void>,
  ) {
    this.#logs = logs;
    this.#group = group;
    this.#options = options;
    this.#step = step;
    this.#topics = new Set(options.topics);
    for (const topic of options.topics) logs.topic(topic); // Throws where it is not there.
    group.join(this);
    logs.wake();
  }

  get topics(): readonly string[] {
    return this.#options.topics;
  }

  async poll(maxWaitMs: number): Promise<Poll> {
    await this.#step('poll');
    const deadline = this.#logs.clock.now() + maxWaitMs;
    for (;;) {
      this.#check();
      if (this.#zombie === null && this.told.generation !== this.#generation) await this.#takeUp();
      const poll = this.#collect();
      if (poll.batches.length > 0 || poll.cut.length > 0 || this.#logs.clock.now() >= deadline) return poll;
      await this.#logs.wait(this.#topics, deadline);
    }
  }

  /** Takes up the newest assignment; while it asks for positions the group may move on again. */
  async #takeUp(): Promise<void> {
    while (this.told.generation !== this.#generation) {
      const { generation, logs } = this.told;
      this.#assigned = new Map();
      this.#generation = generation;
      const places = logs.map(({ topic, partition }) => ({ topic, partition }));
      const positions = await this.#options.onAssigned(places).catch((error: unknown) => {
        this.#generation = 0; // Ask again at the next poll.
        throw error;
      });
      if (positions.length !== logs.length)
        throw new TypeError('onAssigned must answer for every partition given');
      this.#assigned = new Map(
        logs.map((log, i) => {
          const position = log.resolve(positions[i] ?? 'earliest');
          return [keyOf(log), { log, position, paused: false }];
        }),
      );
    }
  }

  #collect(): Poll {
    const all = [...this.#assigned.values()].flatMap((one) => {
      const now = this.#zombie === null ? this.#logs.find(one.log.topic, one.log.partition) : one.log;
      if (now === undefined) return []; // The topic is gone.
      one.log = now;
      return [one];
    });
    // Another partition leads each time, so that none waits for ever where there are more than records in a poll.
    const first = all.length === 0 ? 0 : this.#first++ % all.length;
    const order = [...all.slice(first), ...all.slice(0, first)];
    const { maxPollRecords } = this.#options;
    const cut: Array<TopicPartition & { start: number }> = [];
    const available = order.map((one) => {
      if (!one.log.holds(one.position)) {
        cut.push({ ...placeOf(one), start: one.log.start });
        return 0;
      }
      // Markers and aborted records at the position are passed over, as a fetch does, even while the partition is paused.
      const { records, next } = one.log.read(one.position, this.#endOf(one.log), maxPollRecords);
      if (records.length === 0) one.position = Math.max(one.position, next);
      return one.paused ? 0 : records.length;
    });
    const shares = fairShare(available, maxPollRecords);
    const batches: PartitionBatch[] = [];
    const atEnd: TopicPartition[] = [];
    for (const [i, one] of order.entries()) {
      const count = shares[i] ?? 0;
      if (count > 0) {
        const { records, next } = one.log.read(one.position, this.#endOf(one.log), count);
        batches.push({ ...placeOf(one), records, highWatermark: this.#endOf(one.log) });
        one.position = next;
      }
      if (one.log.holds(one.position) && one.position >= this.#endOf(one.log)) atEnd.push(placeOf(one));
    }
    return { generation: this.#generation, batches, cut, atEnd };
  }

  #endOf(log: PartitionLog): number {
    return Math.min(this.#zombie?.get(log) ?? log.end, log.readableEnd);
  }

  async seek(partition: TopicPartition, offset: number): Promise<void> {
    this.#check();
    const one = this.#assigned.get(keyOf(partition));
    if (one !== undefined) one.position = offset;
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    if (this.#setPaused(partitions, false)) this.#logs.wake(this.#topics);
  }

  /** Answers whether that changes anything. */
  #setPaused(partitions: readonly TopicPartition[], paused: boolean): boolean {
    const changed = partitions.flatMap((partition) => this.#assigned.get(keyOf(partition)) ?? []);
    const some = changed.some((one) => one.paused !== paused);
    for (const one of changed) one.paused = paused;
    return some;
  }

  async commit(offsets: ReadonlyArray<TopicPartition & { readonly offset: number }>): Promise<void> {
    await this.#step('commit');
    this.#check();
    if (this.#zombie !== null || this.#generation !== this.#group.generation) {
      const message = `the group ${this.#options.group} has moved on, so nothing was committed; poll again`;
      throw new KafkaError('stale_generation', message, { retriable: true });
    }
    for (const at of offsets) this.#group.committed.set(keyOf(at), at.offset);
  }

  moved(): boolean {
    return this.#zombie === null && this.told.generation !== this.#generation;
  }

  async ends(partitions: readonly TopicPartition[]): Promise<number[]> {
    await this.#step('ends');
    this.#check();
    const ends = partitions.map(({ topic, partition }) => {
      if (!this.topics.includes(topic))
        throw new KafkaError('unknown_topic', `this consumer does not read the topic ${topic}`, {
          retriable: false,
        });
      return this.#logs.partition(topic, partition).end;
    });
    await this.#step('ends');
    return ends;
  }

  async atEnd(partitions: readonly TopicPartition[]): Promise<Array<number | null>> {
    const ends = await this.ends(partitions);
    return partitions.map((place, i) => {
      const one = this.#assigned.get(keyOf(place));
      return one !== undefined && one.position >= (ends[i] ?? Number.POSITIVE_INFINITY) ? one.position : null;
    });
  }

  async facts(): Promise<TopicFacts[]> {
    this.#check();
    return this.topics.map((topic) => this.#logs.facts(topic));
  }

  assignment(): readonly TopicPartition[] {
    return [...this.#assigned.values()].map(placeOf);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#group.leave(this);
    this.#logs.wake();
  }

  /** The group gives its partitions away; this member does not notice, and goes on with what there was. */
  zombify(): void {
    this.#zombie = new Map([...this.#assigned.values()].map((one) => [one.log, one.log.end]));
    this.#group.leave(this);
    this.#logs.wake();
  }

  /** A zombie notices, and joins again. */
  revive(): void {
    if (this.#zombie === null || this.#closed) return;
    this.#zombie = null;
    this.#group.join(this);
    this.#logs.wake();
  }

  #check(): void {
    if (this.#closed) throw new KafkaError('closed', 'the consumer has been closed', { retriable: false });
  }
}
