import type { OutgoingRecord, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { clockRecord } from '../runtime/clock-record.ts';
import type { SizedAnswer } from './answer-size.ts';
import type { Ready, RequestQueue, Turn } from './requests.ts';
import { NEXT_HEADER, OPEN_HEADER } from './resume.ts';

/**
 * Answers and clocks of a batch as they go to the predictions topic. The last record of each partition says where to go
 * on after it (resume.ts).
 */
export function answerRecords(
  topic: string,
  ready: readonly Ready[],
  encoded: ReadonlyMap<Turn, Pick<SizedAnswer, 'value' | 'headers'>>,
): OutgoingRecord[] {
  const records: OutgoingRecord[] = [];
  const lastOf = new Map<RequestQueue, number>();
  const nextOf = new Map<RequestQueue, number>();
  for (const item of ready) {
    const { queue, clock, request } = item;
    nextOf.set(queue, item.offset + 1);
    if (clock === null && request === null) continue;
    lastOf.set(queue, records.length);
    const { partition } = queue;
    if (clock !== null) records.push(clockRecord(topic, partition, clock));
    else {
      const key = Buffer.from(request?.event.id ?? '');
      const { value = null, headers } = encoded.get(item) ?? {};
      records.push({ topic, partition, key, value, ...(headers === undefined ? {} : { headers }) });
    }
  }
  for (const [queue, index] of lastOf) {
    const last = records[index];
    if (last === undefined) continue;
    const next = {
      [NEXT_HEADER]: String(nextOf.get(queue)),
      ...(openAfter(ready, queue) ? { [OPEN_HEADER]: '1' } : {}),
    };
    records[index] = { ...last, headers: { ...last.headers, ...next } };
  }
  return records;
}

/** Where each partition of the topic they waited in is to be read on. */
export function positionsAfter(
  topic: string,
  ready: readonly Ready[],
): Array<TopicPartition & { offset: number }> {
  const next = new Map<RequestQueue, number>();
  for (const { queue, offset } of ready) next.set(queue, offset + 1);
  return [...next].map(([{ partition }, offset]) => ({ topic, partition, offset }));
}

function openAfter(ready: readonly Ready[], queue: RequestQueue): boolean {
  const last = ready.findLast((item) => item.queue === queue);
  return last?.replayed ?? false;
}
