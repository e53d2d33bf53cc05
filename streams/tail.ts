import type { Kafka, KafkaRecord } from '../infrastructure/kafka/port.ts';

/** The last records of every partition of a topic, up to `most` each, in order; as the topic stood when asked. */
export async function readTails(kafka: Kafka, topic: string, most: number): Promise<KafkaRecord[][]> {
  const admin = await kafka.admin();
  const bounds = await admin.offsets(topic).finally(() => admin.close());
  const tails: KafkaRecord[][] = bounds.map(() => []);
  const wanted = bounds.flatMap(({ start, end }, partition) =>
    end > start ? [{ topic, partition, position: Math.max(start, end - most) }] : [],
  );
  if (wanted.length === 0) return tails;
  const reader = await kafka.reader(wanted);
  const open = new Set(wanted.map(({ partition }) => partition));
  try {
    while (open.size > 0)
      for (const { partition, records } of await reader.poll(1_000)) {
        const end = bounds[partition]?.end ?? 0;
        for (const record of records) if (record.offset < end) tails[partition]?.push(record);
        if ((records.at(-1)?.offset ?? -1) >= end - 1) open.delete(partition);
      }
  } finally {
    await reader.close();
  }
  return tails;
}
