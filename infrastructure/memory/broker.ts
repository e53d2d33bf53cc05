import type { Clock } from '../../schemas/clock.ts';
import { KafkaError } from '../kafka/errors.ts';
import type {
  Admin,
  Consumer,
  Kafka,
  KafkaRecord,
  OutgoingRecord,
  PartitionBatch,
  Producer,
  Reader,
} from '../kafka/port.ts';
import { Group, GroupMember } from './broker-group.ts';
import { Logs, type TopicSettings, type Transaction } from './broker-log.ts';

export type SendFailure = 'before' | 'after' | 'partial';

/**
 * Kafka in memory, for any number of clients, groups and members in one process, in whatever time the clock tells.
 * Consumers and readers read committed records only. Left out: retention and compaction (use `truncate`), and quotas.
 */
export interface MemoryBroker {
  /** The connection of one process. */
  kafka(): Kafka;
  /**
   * The next send of anybody fails (the next one to `topic`, where it is given): `before` anything is stored, `after` all of it is, or
   * with the `partial` outcome that the first half of its partitions is. The caller cannot tell which.
   */
  failNextSend(kind: SendFailure, topic?: string): void;
  /**
   * Makes a topic CreateTime, Kafka's default, as somebody else may have made it before us, or turns one that is there into that.
   * `access` is what the broker lets its clients do with the topic's settings.
   */
  createTimeTopic(name: string, partitions: number, access?: TopicSettings['access']): void;
  /** Appends as a producer does whose clock says `producerTime`, epoch ms. */
  appendAt(records: readonly OutgoingRecord[], producerTime: number): void;
  /** The most bytes that a batch of the topic may have from now on (`max.message.bytes`). */
  limitRecords(topic: string, bytes: number): void;
  /** Appends what no client could send: larger than the topic takes, as a compressed batch may hold it, or unreadable. */
  appendRaw(record: OutgoingRecord & Pick<KafkaRecord, 'unreadable'>): void;
  /** Begins a transaction, as a transactional producer does; without faults, steps or a time limit. */
  transaction(): MemoryTransaction;
  /** The log begins at `start` from now on, as after retention. */
  truncate(topic: string, partition: number, start: number): void;
  /** The member loses its partitions without noticing, and goes on with what had been appended by then. */
  zombify(consumer: Consumer): void;
  /** The zombie notices, and joins its group again. */
  revive(consumer: Consumer): void;
  /** A process dies: nothing of it takes effect any more, and its members leave their groups. */
  kill(kafka: Kafka): void;
}

export interface MemoryTransaction {
  append(records: readonly OutgoingRecord[]): void;
  commit(): void;
  abort(): void;
}

export type Operation = 'send' | 'poll' | 'commit' | 'ends';

export interface MemoryBrokerOptions {
  /** Awaited before each operation takes effect and before it is answered: a place for a simulation to interleave. */
  readonly step?: (operation: Operation) => Promise<void>;
}

export function createMemoryBroker(clock: Clock, options: MemoryBrokerOptions = {}): MemoryBroker {
  const logs = new Logs(clock);
  const groups = new Map<string, Group>();
  const failures: Array<{ readonly kind: SendFailure; readonly topic: string | undefined }> = [];
  const killed = new WeakMap<Kafka, () => void>();
  const step = options.step ?? (async () => {});

  /** Takes the first failure that is meant for a send of these records. */
  function failureOf(records: readonly OutgoingRecord[]): SendFailure | undefined {
    const at = failures.findIndex(
      ({ topic }) => topic === undefined || records.some((record) => record.topic === topic),
    );
    return at < 0 ? undefined : failures.splice(at, 1)[0]?.kind;
  }

  function connect(): Kafka {
    let alive = true;
    const members = new Set<GroupMember>();
    const check = () => {
      if (!alive)
        throw new KafkaError('closed', 'this connection to Kafka has been closed', { retriable: false });
    };
    const stepAlive = async (operation: 'poll' | 'commit' | 'ends') => {
      check();
      await step(operation);
      check();
    };

    function producer(): Producer {
      let dead = false;
      async function send(records: readonly OutgoingRecord[], see: () => void): Promise<number | null> {
        check();
        if (dead) {
          throw new KafkaError('producer_dead', 'this producer failed before; make a new one', {
            retriable: true,
          });
        }
        try {
          await step('send');
          check();
          const failure = failureOf(records);
          let appendTime: number | null = null;
          see();
          if (failure === undefined || failure === 'after') appendTime = logs.append(records);
          else if (failure === 'partial') logs.append(firstHalf(records));
          if (failure !== undefined) {
            throw new KafkaError('send_failed', `the send failed (simulated, ${failure})`, {
              retriable: true,
            });
          }
          await step('send');
          check();
          return appendTime;
        } catch (error) {
          dead = true;
          throw error;
        }
      }
      return {
        send: (records) => send(records, () => {}),
        async place(records) {
          let offsets: readonly number[] = [];
          await send(records, () => {
            offsets = logs.nextOffsets(records);
          });
          return offsets;
        },
        async close() {
          dead = true;
        },
      };
    }

    const kafka: Kafka = {
      async producer() {
        check();
        return producer();
      },
      async consumer(consumerOptions) {
        check();
        const name = consumerOptions.group;
        const group = groups.get(name) ?? new Group(logs);
        const member = new GroupMember(logs, group, consumerOptions, stepAlive);
        groups.set(name, group);
        members.add(member);
        return member;
      },
      async reader(positions, options) {
        check();
        return createReader(logs, positions, () => stepAlive('poll'), options);
      },
      async admin() {
        check();
        return createAdmin(logs, groups);
      },
      async close() {
        alive = false;
        for (const member of members) await member.close();
      },
    };
    killed.set(kafka, () => {
      alive = false;
      for (const member of members) void member.close();
    });
    return kafka;
  }

  return {
    kafka: connect,
    failNextSend: (kind, topic) => void failures.push({ kind, topic }),
    createTimeTopic(name, partitions, access = 'change') {
      logs.create({ name, partitions, retentionMs: -1, compacted: false });
      Object.assign(logs.settings(name), { timestampType: 'CreateTime', access });
    },
    appendAt: (records, producerTime) => void logs.append(records, null, producerTime),
    limitRecords(topic, bytes) {
      logs.settings(topic).maxMessageBytes = bytes;
    },
    appendRaw: (record) => logs.appendRaw(record),
    transaction() {
      const transaction: Transaction = { state: 'open' };
      return {
        append: (records) => void logs.append(records, transaction),
        commit: () => logs.finish(transaction, 'committed'),
        abort: () => logs.finish(transaction, 'aborted'),
      };
    },
    truncate(topic, partition, start) {
      logs.partition(topic, partition).truncate(start);
      logs.wake();
    },
    zombify: (consumer) => asMember(consumer).zombify(),
    revive: (consumer) => asMember(consumer).revive(),
    kill: (kafka) => killed.get(kafka)?.(),
  };
}

function asMember(consumer: Consumer): GroupMember {
  if (consumer instanceof GroupMember) return consumer;
  throw new TypeError('this consumer is not one of the memory broker');
}

function firstHalf(records: readonly OutgoingRecord[]): OutgoingRecord[] {
  const places = [...new Set(records.map((record) => `${record.topic}:${record.partition}`))];
  const stored = new Set(places.slice(0, Math.ceil(places.length / 2)));
  return records.filter((record) => stored.has(`${record.topic}:${record.partition}`));
}

function createReader(
  logs: Logs,
  positions: Parameters<Kafka['reader']>[0],
  step: () => Promise<void>,
  { unreadable = 'fail' }: Parameters<Kafka['reader']>[1] = {},
): Reader {
  const held = positions.map(({ topic, partition, position }) => {
    const log = logs.partition(topic, partition);
    return { log, position: log.resolve(position) };
  });
  const topics = new Set(positions.map(({ topic }) => topic));
  let closed = false;
  return {
    async poll(maxWaitMs) {
      await step();
      const deadline = logs.clock.now() + maxWaitMs;
      for (;;) {
        if (closed) throw new KafkaError('closed', 'the reader has been closed', { retriable: false });
        const batches: PartitionBatch[] = [];
        for (const at of held) {
          const { topic, partition, start, end } = at.log;
          if (!at.log.holds(at.position)) {
            throw new KafkaError(
              'position_deleted',
              `the log of ${topic}:${partition} does not hold offset ${at.position}: it goes from ${start} to ${end}`,
              { retriable: false },
            );
          }
          const { records, next } = at.log.read(at.position, at.log.readableEnd);
          const broken =
            unreadable === 'fail' ? records.find((one) => one.unreadable !== undefined) : undefined;
          if (broken !== undefined)
            throw new KafkaError('request_failed', broken.unreadable?.detail ?? '', { retriable: false });
          at.position = Math.max(at.position, next);
          if (records.length > 0)
            batches.push({ topic, partition, records, highWatermark: at.log.readableEnd });
        }
        if (batches.length > 0 || logs.clock.now() >= deadline) return batches;
        await logs.wait(topics, deadline);
      }
    },
    position: ({ topic, partition }) =>
      held.find(({ log }) => log.topic === topic && log.partition === partition)?.position ?? null,
    async close() {
      closed = true;
      logs.wake();
    },
  };
}

function createAdmin(logs: Logs, groups: Map<string, Group>): Admin {
  return {
    topics: async () => logs.topics(),
    createTopics: async (specs) => specs.filter((spec) => logs.create(spec)).map((spec) => spec.name),
    timestampTypes: async (names) =>
      names.map((name) => {
        const { timestampType, access } = logs.settings(name);
        return access === 'none' ? null : timestampType;
      }),
    compacted: async (names) =>
      names.map((name) => {
        const { access, compacted } = logs.settings(name);
        return access === 'none' ? null : compacted;
      }),
    recordLimits: async (names) =>
      names.map((name) => {
        const { access, maxMessageBytes } = logs.settings(name);
        return access === 'none' ? null : maxMessageBytes;
      }),
    facts: async (names) => names.map((name) => logs.facts(name)),
    async addPartitions(grown) {
      for (const { name, partitions } of grown) logs.grow(name, partitions);
      for (const group of groups.values()) group.grown();
      logs.wake();
    },
    async stampByBroker(topic) {
      const settings = logs.settings(topic);
      if (settings.access !== 'change')
        throw new KafkaError(
          'not_allowed',
          `message.timestamp.type of ${topic} could not be set: ${topic}: TOPIC_AUTHORIZATION_FAILED; mend kafka.sasl, or the broker's access rules`,
          { retriable: false },
        );
      settings.timestampType = 'LogAppendTime';
    },
    async deleteTopics(names) {
      for (const name of names) logs.remove(name);
    },
    async deleteGroups(names) {
      for (const name of names) {
        if ((groups.get(name)?.members.length ?? 0) > 0) {
          throw new KafkaError('request_failed', `the group ${name} has members; stop them first`, {
            retriable: true,
          });
        }
        groups.delete(name);
      }
    },
    groups: async () => [...groups.keys()],
    offsets: async (topic) =>
      logs.topic(topic).map(({ start, readableEnd }) => ({ start, end: readableEnd })),
    committed: async (group, topic) =>
      logs
        .topic(topic)
        .map(({ partition }) => groups.get(group)?.committed.get(`${topic}:${partition}`) ?? null),
    async deleteRecords(topic, before) {
      for (const { partition, offset } of before) logs.partition(topic, partition).truncate(offset);
      logs.wake();
    },
    async close() {},
  };
}
