import { isUtf8 } from 'node:buffer';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { headers } from '../../schemas/names.ts';
import { readAgain } from './again-record.ts';
import { textOf } from './clock-record.ts';

/** Two keys of other bytes would be one where U+FFFD stands for what is no UTF-8. */
const strictText = (bytes: Uint8Array | null | undefined): string | Uint8Array | null =>
  bytes == null ? null : isUtf8(bytes) ? Buffer.from(bytes).toString() : bytes;

/** What a record says beside its value. A replay writes records of its own, whose values hold it. */
export function envelopeOf(record: KafkaRecord): Envelope | undefined {
  if (textOf(record, headers.replay) !== null) return undefined;
  return {
    header: (name) => strictText(record.headers?.[name]),
    key: strictText(record.key),
    timestamp: readAgain(record)?.appendTime ?? record.appendTime,
  };
}
