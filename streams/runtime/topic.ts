import { type Bounds, boundsOf } from '../../infrastructure/kafka/bounds.ts';
import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';

export { type Bounds, boundsOf };

/** Longest wait for more records before the position is looked at, ms. */
const POLL_MS = 100;

/** The first offset that a partition still has. */
export async function startOf(kafka: Kafka, topic: string, partition: number): Promise<number> {
  return (await boundsOf(kafka, topic))[partition]?.start ?? 0;
}

/** The bounds of one partition alone: nothing is read of the others. */
export function onlyOf(bounds: Bounds, partition: number): Bounds {
  return bounds.map((one, i) => (i === partition ? one : { start: 0, end: 0 }));
}

/** For topics that anybody may write to: each record of a batch that cannot be read is handed out as `unreadable`, as ingest takes it. */
export const ofAnybody = (kafka: Kafka): Kafka => ({
  ...kafka,
  reader: (positions) => kafka.reader(positions, { unreadable: 'hand_out' }),
});

/** Every record from `from` (the start, where absent) to the end as `bounds` tells it; `tick` is told how many were read. */
export async function readTopic(
  kafka: Kafka,
  topic: string,
  bounds: Bounds,
  see: (record: KafkaRecord) => void,
  from: (partition: number) => number = () => 0,
  tick: (records: number) => void = () => {},
): Promise<void> {
  const wanted = bounds.flatMap(({ start, end }, partition) => {
    const position = Math.max(start, from(partition));
    return position < end ? [{ topic, partition, position }] : [];
  });
  if (wanted.length === 0) return;
  const open = new Set(wanted.map(({ partition }) => partition));
  const reader = await kafka.reader(wanted);
  const endOf = (partition: number): number => bounds[partition]?.end ?? 0;
  try {
    while (open.size > 0) {
      for (const { partition, records } of await reader.poll(POLL_MS)) {
        for (const record of records) if (record.offset < endOf(partition)) see(record);
        tick(records.length);
        if ((records.at(-1)?.offset ?? -1) >= endOf(partition) - 1) open.delete(partition);
      }
      // What stands last may be a transaction's marker or aborted records, which nobody is handed.
      for (const partition of open)
        if ((reader.position({ topic, partition }) ?? -1) >= endOf(partition)) open.delete(partition);
    }
  } finally {
    await reader.close();
  }
}

/** The record of an offset; null where the partition has none there, or not any more. */
export async function recordAt(
  kafka: Kafka,
  topic: string,
  partition: number,
  offset: number,
): Promise<KafkaRecord | null> {
  const bounds = (await boundsOf(kafka, topic))[partition];
  if (bounds === undefined || offset < bounds.start || offset >= bounds.end) return null;
  const reader = await ofAnybody(kafka).reader([{ topic, partition, position: offset }]);
  try {
    for (;;) {
      const [first] = (await reader.poll(POLL_MS)).flatMap(({ records }) => records);
      if (first !== undefined) return first.offset === offset ? first : null;
      if ((reader.position({ topic, partition }) ?? -1) > offset) return null;
    }
  } finally {
    await reader.close();
  }
}
