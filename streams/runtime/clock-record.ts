import type { KafkaRecord, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import { headers } from '../../schemas/names.ts';

/**
 * A clock record has no value; its time, its kind and the name of its replay are headers. It goes from the raw
 * topic to the validated one and on to the predictions, in its place among the records of its partition.
 */
export function clockRecord(
  topic: string,
  partition: number,
  { time, kind, replay }: ClockMark,
  more: Readonly<Record<string, string>> = {},
): OutgoingRecord {
  const own = {
    [headers.clock]: String(time),
    [headers.clockKind]: kind,
    ...(replay === null ? {} : { [headers.replay]: replay }),
  };
  return { topic, partition, key: null, value: null, headers: { ...own, ...more } };
}

/** The clock that a record carries, or null. Its time may be anything: whoever trusts strangers checks it. */
export function readClock(record: Pick<KafkaRecord, 'headers' | 'value'>): ClockMark | null {
  const time = textOf(record, headers.clock);
  if (time === null || record.value !== null) return null;
  const kind = textOf(record, headers.clockKind);
  return {
    time: /^-?\d+$/.test(time) ? Number(time) : Number.NaN,
    replay: textOf(record, headers.replay),
    kind: kind === 'first' || kind === 'end' ? kind : 'tick',
  };
}

/** A header as text, or null. */
export function textOf(record: Pick<KafkaRecord, 'headers'>, header: string): string | null {
  const bytes = record.headers?.[header];
  return bytes === undefined ? null : Buffer.from(bytes).toString();
}
