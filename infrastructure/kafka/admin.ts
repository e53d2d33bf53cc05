import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka as KafkaJs, type Admin as KafkaJsAdmin } from 'kafkajs';
import type { Connections } from '../../schemas/project.ts';
import {
  type BrokerNode,
  type ClientOptions,
  clientConfig,
  connect,
  createCluster,
  kafkaError,
} from './cluster.ts';
import { KafkaError } from './errors.ts';
import type { Admin, TopicSpec } from './port.ts';
import { describeTopics } from './topic-facts.ts';
import {
  describeCompaction,
  describeRecordLimits,
  describeTimestamps,
  setAppendTime,
  TIMESTAMP_TYPE,
} from './topic-settings.ts';

function settingsOf(spec: TopicSpec): Array<{ name: string; value: string }> {
  return [
    { name: TIMESTAMP_TYPE, value: 'LogAppendTime' },
    { name: 'cleanup.policy', value: spec.compacted ? 'compact' : 'delete' },
    ...(spec.compacted ? [] : [{ name: 'retention.ms', value: String(spec.retentionMs) }]),
  ];
}

/** A topic just made may be unknown to the broker that is asked, or without a leader, for some time. */
const LEADERS_WAIT_MS = 15_000;

async function untilLed(admin: KafkaJsAdmin, names: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + LEADERS_WAIT_MS; ; ) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [...names] });
      const led = topics.every(
        ({ partitions }) => partitions.length > 0 && partitions.every(({ leader }) => leader >= 0),
      );
      if (led || Date.now() > deadline) return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(50);
  }
}

export async function createAdmin(kafka: Connections['kafka'], options: ClientOptions): Promise<Admin> {
  const admin = new KafkaJs(clientConfig(kafka, options)).admin();

  async function call<T>(what: string, work: (admin: KafkaJsAdmin) => Promise<T>): Promise<T> {
    try {
      return await work(admin);
    } catch (error) {
      throw kafkaError(error, what, 'request_failed');
    }
  }

  /** Requests of our own, over a connection of their own: they are seldom, and kafkajs' admin hands out none. */
  async function ask<T>(what: string, work: (broker: BrokerNode) => Promise<T>): Promise<T> {
    const cluster = createCluster(kafka, options);
    await connect(cluster, kafka, []);
    try {
      return await work(await cluster.findControllerBroker());
    } catch (error) {
      throw kafkaError(error, what, 'request_failed');
    } finally {
      await cluster.disconnect().catch(() => {});
    }
  }

  await call(`cannot work with Kafka at ${kafka.brokers.join(', ')}`, () => admin.connect()).catch(
    async (error: unknown) => {
      await admin.disconnect().catch(() => {});
      throw error;
    },
  );

  return {
    async topics() {
      // A topic of somebody else may go between the two questions: then both are asked again.
      const list = async (
        admin: KafkaJsAdmin,
        tries: number,
      ): ReturnType<KafkaJsAdmin['fetchTopicMetadata']> => {
        const names = await admin.listTopics();
        if (names.length === 0) return { topics: [] };
        return admin
          .fetchTopicMetadata({ topics: names })
          .catch((error: unknown) => (tries > 1 ? list(admin, tries - 1) : Promise.reject(error)));
      };
      const { topics } = await call('the topics could not be listed', (admin) => list(admin, 5));
      return topics.map(({ name, partitions }) => ({ name, partitions: partitions.length }));
    },
    facts: (names) =>
      ask(`the topics ${names.join(', ')} could not be described`, (broker) => describeTopics(broker, names)),
    async addPartitions(grown) {
      if (grown.length === 0) return;
      const names = grown.map(({ name }) => name);
      await call(`giving ${names.join(', ')} more partitions failed`, (admin) =>
        admin.createPartitions({
          topicPartitions: grown.map(({ name, partitions }) => ({ topic: name, count: partitions })),
        }),
      );
      await call(`the new partitions of ${names.join(', ')} got no leaders`, (admin) =>
        untilLed(admin, names),
      );
    },
    async createTopics(specs) {
      const there = new Set(await call('the topics could not be listed', (admin) => admin.listTopics()));
      const missing = specs.filter((spec) => !there.has(spec.name));
      if (missing.length === 0) return [];
      await call(`creating ${missing.map((spec) => spec.name).join(', ')} failed`, (admin) =>
        admin.createTopics({
          waitForLeaders: false,
          topics: missing.map((spec) => ({
            topic: spec.name,
            numPartitions: spec.partitions,
            configEntries: settingsOf(spec),
          })),
        }),
      );
      const names = missing.map((spec) => spec.name);
      await call(`the new topics ${names.join(', ')} got no leaders`, (admin) => untilLed(admin, names));
      return names;
    },
    async timestampTypes(names) {
      if (names.length === 0) return [];
      return ask(`the settings of ${names.join(', ')} could not be read`, (broker) =>
        describeTimestamps(broker, names),
      );
    },
    async compacted(names) {
      if (names.length === 0) return [];
      return ask(`the settings of ${names.join(', ')} could not be read`, (broker) =>
        describeCompaction(broker, names),
      );
    },
    async recordLimits(names) {
      if (names.length === 0) return [];
      return ask(`the settings of ${names.join(', ')} could not be read`, (broker) =>
        describeRecordLimits(broker, names),
      );
    },
    stampByBroker: (topic) =>
      ask(`${TIMESTAMP_TYPE} of ${topic} could not be set`, (broker) => setAppendTime(broker, topic)),
    async deleteTopics(names) {
      const there = new Set(await call('the topics could not be listed', (admin) => admin.listTopics()));
      const found = names.filter((name) => there.has(name));
      if (found.length === 0) return;
      await call(`deleting ${found.join(', ')} failed`, (admin) => admin.deleteTopics({ topics: found }));
    },
    async deleteGroups(names) {
      const { groups } = await call('the groups could not be listed', (admin) => admin.listGroups());
      const found = groups.map(({ groupId }) => groupId).filter((id) => names.includes(id));
      if (found.length === 0) return;
      await call(`deleting the groups ${found.join(', ')} failed; stop their members first`, (admin) =>
        admin.deleteGroups(found),
      );
    },
    async groups() {
      const { groups } = await call('the groups could not be listed', (admin) => admin.listGroups());
      return groups.map(({ groupId }) => groupId);
    },
    async offsets(topic) {
      const offsets = await call(`the offsets of ${topic} could not be read`, (admin) =>
        admin.fetchTopicOffsets(topic),
      );
      return offsets
        .sort((a, b) => a.partition - b.partition)
        .map(({ low, high }) => ({ start: Number(low), end: Number(high) }));
    },
    async committed(group, topic) {
      const [found] = await call(`the offsets of the group ${group} could not be read`, (admin) =>
        admin.fetchOffsets({ groupId: group, topics: [topic] }),
      );
      return (found?.partitions ?? [])
        .sort((a, b) => a.partition - b.partition)
        .map(({ offset }) => (Number(offset) < 0 ? null : Number(offset)));
    },
    async deleteRecords(topic, before) {
      if (before.length === 0) return;
      await call(`deleting records of ${topic} failed`, async (admin) => {
        await admin.fetchTopicOffsets(topic); // Learns the leaders; deleteTopicRecords does not.
        await admin.deleteTopicRecords({
          topic,
          partitions: before.map(({ partition, offset }) => ({ partition, offset: String(offset) })),
        });
      });
    },
    async close() {
      await admin.disconnect().catch((cause: unknown) => {
        throw new KafkaError('request_failed', 'the admin client could not be closed', {
          retriable: false,
          cause,
        });
      });
    },
  };
}
