import { setTimeout as sleep } from 'node:timers/promises';
import { type BrokerNode, type Cluster, kafkaError } from './cluster.ts';
import { KafkaError } from './errors.ts';
import type { TopicPartition } from './port.ts';

/** Whether the records of open transactions count: for `committed`, the log ends before the first of them. */
export type Isolation = 'committed' | 'all';
const ISOLATION_LEVELS: Readonly<Record<Isolation, number>> = { all: 0, committed: 1 };
const ATTEMPTS = 5;

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}:${partition}`;

/** Offsets at the start or end of partitions, from whichever brokers lead them; in the order given. */
export async function findOffsets(
  cluster: Cluster,
  places: readonly TopicPartition[],
  which: 'earliest' | 'latest',
  isolation: Isolation = 'committed',
): Promise<number[]> {
  if (places.length === 0) return [];
  for (let attempt = 0; ; attempt++) {
    try {
      const byLeader = new Map<number, TopicPartition[]>();
      for (const place of places) {
        const partitions = cluster.findTopicPartitionMetadata(place.topic);
        const leader = partitions.find((p) => p.partitionId === place.partition)?.leader;
        // What we know of the topic may be older than the partition.
        if (leader === undefined && attempt === 0) throw new Error(`${keyOf(place)} is not known`);
        if (leader === undefined) {
          throw new KafkaError('unknown_topic', `Kafka has no partition ${keyOf(place)}`, {
            retriable: false,
          });
        }
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), place]);
      }
      const found = new Map<string, number>();
      await Promise.all(
        [...byLeader].map(async ([nodeId, led]) => {
          const offsets = await listOffsets(await cluster.findBroker({ nodeId }), led, which, isolation);
          for (const [i, place] of led.entries()) found.set(keyOf(place), offsets[i] ?? 0);
        }),
      );
      return places.map((place) => found.get(keyOf(place)) ?? 0);
    } catch (error) {
      if (error instanceof KafkaError || attempt === ATTEMPTS - 1) {
        throw kafkaError(error, `the ${which} offsets could not be read`, 'request_failed');
      }
      await sleep(50 * 2 ** attempt);
      await cluster.refreshMetadata().catch(() => {});
    }
  }
}

/** First offset of partitions that one broker leads, or the offset after their last; in the order given. */
async function listOffsets(
  broker: BrokerNode,
  places: readonly TopicPartition[],
  which: 'earliest' | 'latest',
  isolation: Isolation,
): Promise<number[]> {
  const timestamp = which === 'earliest' ? -2 : -1;
  const byTopic = new Map<string, Array<{ partition: number; timestamp: number }>>();
  for (const { topic, partition } of places) {
    const list = byTopic.get(topic) ?? [];
    list.push({ partition, timestamp });
    byTopic.set(topic, list);
  }
  const { responses } = await broker.listOffsets({
    isolationLevel: ISOLATION_LEVELS[isolation],
    topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })),
  });
  const found = new Map<string, number>();
  for (const { topic, partitions } of responses) {
    for (const { partition, offset } of partitions) found.set(`${topic}:${partition}`, Number(offset));
  }
  return places.map(({ topic, partition }) => {
    const offset = found.get(`${topic}:${partition}`);
    if (offset === undefined) throw new Error(`${topic}:${partition} is missing in the answer`);
    return offset;
  });
}
