import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { boundsOf, readTopic } from './topic.ts';

/** The last records of every partition of a topic, up to `most` each, in order; as the topic stood when asked. */
export async function readTails(kafka: Kafka, topic: string, most: number): Promise<KafkaRecord[][]> {
  const bounds = await boundsOf(kafka, topic);
  const tails: KafkaRecord[][] = bounds.map(() => []);
  const keep = (record: KafkaRecord) => tails[record.partition]?.push(record);
  await readTopic(kafka, topic, bounds, keep, (partition) => (bounds[partition]?.end ?? 0) - most);
  return tails;
}
