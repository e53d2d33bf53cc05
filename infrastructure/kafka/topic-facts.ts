import { Buffer } from 'node:buffer';
import { type BrokerNode, request } from './cluster.ts';
import type { TopicFacts } from './port.ts';
import { CODES, ProtocolError } from './protocol-errors.ts';
import { Cursor, Writer } from './wire.ts';

/**
 * Ids and partitions of topics, asked with Kafka's Metadata, version 10 (Kafka 2.8 and later; kafkajs speaks version 6, which knows no ids). A topic that
 * was deleted and made again has another id. Lengths are unsigned varints, one more than the length, and structures end in tagged fields.
 */
const METADATA = { key: 3, version: 10, name: 'Metadata' } as const;
const ID_BYTES = 16;

/** In order of `names`; a topic that is not there has no partitions, and no id. */
export async function describeTopics(broker: BrokerNode, names: readonly string[]): Promise<TopicFacts[]> {
  const writer = new Writer().int8(0); // Tagged fields of the request's header, which kafkajs does not write.
  unsigned(writer, names.length + 1);
  for (const name of names) {
    for (let i = 0; i < ID_BYTES; i++) writer.int8(0);
    const bytes = Buffer.from(name);
    unsigned(writer, bytes.length + 1);
    for (const byte of bytes) writer.int8((byte << 24) >> 24);
    writer.int8(0);
  }
  writer.int8(0).int8(0).int8(0).int8(0); // Nothing is created, no operations are asked for, no tagged fields.
  const found = await request(broker, METADATA, writer.done(), decodeMetadata);
  const byName = new Map(found.map((one) => [one.topic, one]));
  return names.map((topic) => {
    const one = byName.get(topic);
    if (one === undefined || one.code === CODES.UNKNOWN_TOPIC_OR_PARTITION)
      return { topic, id: null, partitions: 0 };
    // A topic that was just made has partitions without a leader: it is there.
    if (one.partitions === 0) throw new ProtocolError(one.code, true, (type) => `${topic}: ${type}`);
    return { topic, id: one.id, partitions: one.partitions };
  });
}

function unsigned(writer: Writer, value: number): void {
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) writer.int8(((rest & 0x7f) | 0x80) - 0x100);
  writer.int8(rest);
}

interface Described extends TopicFacts {
  readonly code: number;
}

function decodeMetadata(bytes: Buffer): Described[] {
  const reader = new CompactReader(bytes);
  reader.tags(); // Of the answer's header.
  reader.skip(4); // Throttle time.
  reader.each(() => {
    reader.skip(4);
    reader.text();
    reader.skip(4);
    reader.text();
    reader.tags();
  });
  reader.text();
  reader.skip(4);
  const described: Described[] = [];
  reader.each(() => {
    const code = reader.cursor.int16();
    const topic = reader.text();
    const id = reader.id();
    reader.skip(1);
    let partitions = 0;
    reader.each(() => {
      partitions += 1;
      reader.skip(2 + 4 + 4 + 4);
      for (let lists = 0; lists < 3; lists++) reader.each(() => reader.skip(4));
      reader.tags();
    });
    reader.skip(4);
    reader.tags();
    described.push({ topic, id, partitions, code });
  });
  return described;
}

/** The compact types of Kafka's flexible versions. */
class CompactReader {
  readonly cursor: Cursor;

  constructor(bytes: Buffer) {
    this.cursor = new Cursor(bytes, 0);
  }

  skip(bytes: number): void {
    this.cursor.pos += bytes;
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.cursor.buf[this.cursor.pos++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  }

  text(): string {
    const length = Math.max(0, this.unsigned() - 1);
    const from = this.cursor.pos;
    this.skip(length);
    return this.cursor.buf.toString('utf8', from, this.cursor.pos);
  }

  id(): string | null {
    const from = this.cursor.pos;
    this.skip(ID_BYTES);
    const id = this.cursor.buf.toString('hex', from, this.cursor.pos);
    return /^0*$/.test(id) ? null : id;
  }

  each(read: () => void): void {
    for (let count = this.unsigned() - 1; count > 0; count--) read();
  }

  tags(): void {
    for (let count = this.unsigned(); count > 0; count--) {
      this.unsigned();
      this.skip(this.unsigned());
    }
  }
}
