import type { KafkaRecord } from '../infrastructure/kafka/port.ts';
import type { DecodedRecord } from '../processors/segment.ts';
import type { ValidatedEvent } from '../schemas/event.ts';
import type { Block, DeadLetter, ModelVersion, Prediction } from '../schemas/records.ts';

/** Bytes of one kind of record on its topic, Confluent wire format. Both directions are synchronous. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  /** Throws UnreadableRecord where a record of ours cannot be read: that is a failing world, not a bad event. */
  decode(bytes: Uint8Array): T;
}

/** Decodes what strangers send: whatever the bytes, the answer is a value. */
export interface RawDecoder {
  /** Resolves the schema ids of a batch, so that decoding needs no waiting. Throws RegistryError when the registry is away. */
  prepare(records: readonly KafkaRecord[]): Promise<void>;
  decode(record: KafkaRecord): DecodedRecord<KafkaRecord>;
}

/** All codecs of a project, opened once with the schema ids the registry gave. */
export interface Codecs {
  readonly blocks: Codec<Block>;
  readonly predictions: Codec<Prediction>;
  readonly deadLetters: Codec<DeadLetter>;
  readonly models: Codec<ModelVersion>;
  raw(source: string): RawDecoder;
  validated(source: string): Codec<ValidatedEvent>;
}
