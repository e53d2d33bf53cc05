import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { ReadLetter } from './judge.ts';
import type { LetterPlace } from './ledger.ts';

/** A dead letter as it might come back. */
export interface Letter extends ReadLetter {
  /** Why it was refused. */
  readonly code: string;
  /** Where its record stands in the raw topic. */
  readonly place: LetterPlace;
  /** As it would be sent again; null where it is not whole. */
  readonly record: KafkaRecord | null;
  /** The event as a fix made it, and the fix; null and '' where none did. */
  readonly mended: EventRecord | null;
  readonly fix: string;
  /** When its event's first record was appended, epoch ms. */
  readonly appendTime: number;
}

/** Changes letters on their way back. */
export interface Fix {
  readonly name: string;
  apply(letter: Letter): Letter;
}
