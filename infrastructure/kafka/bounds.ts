import type { Kafka } from './port.ts';

/** Start and end (next) offset of each partition. */
export type Bounds = ReadonlyArray<{ readonly start: number; readonly end: number }>;

export async function boundsOf(kafka: Kafka, topic: string): Promise<Bounds> {
  const admin = await kafka.admin();
  return admin.offsets(topic).finally(() => admin.close());
}
