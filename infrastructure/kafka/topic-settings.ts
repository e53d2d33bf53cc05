import type { Buffer } from 'node:buffer';
import { type BrokerNode, request } from './cluster.ts';
import type { TimestampType } from './port.ts';
import { CODES, ProtocolError } from './protocol-errors.ts';
import { Cursor, Writer } from './wire.ts';

/**
 * Settings of topics, read with Kafka's DescribeConfigs, version 1, and set with IncrementalAlterConfigs, version 0
 * (Kafka 2.3 and later). kafkajs knows AlterConfigs alone, which resets every other setting of the topic.
 */

const DESCRIBE = { key: 32, version: 1, name: 'DescribeConfigs' } as const;
const ALTER = { key: 44, version: 0, name: 'IncrementalAlterConfigs' } as const;
const TOPIC = 2;
const SET = 0;
export const TIMESTAMP_TYPE = 'message.timestamp.type';
const RECORD_LIMIT = 'max.message.bytes';
const CLEANUP = 'cleanup.policy';

/** What the broker answered about one topic. */
interface Answer {
  readonly topic: string;
  readonly code: number;
  readonly message: string;
}

interface Described extends Answer {
  /** Null where the broker did not answer with the setting. */
  readonly value: string | null;
}

/** A broker's refusal to tell or change the settings of a topic. */
const settingsRefused = ({ topic, code, message }: Answer) =>
  new ProtocolError(code, false, (type) => `${topic}: ${type}${message === '' ? '' : ` (${message})`}`);

/** A setting of each topic as text, in order of `topics`; null where the broker does not let us read the settings. */
async function describe(
  broker: BrokerNode,
  topics: readonly string[],
  setting: string,
): Promise<ReadonlyArray<string | null>> {
  const writer = new Writer().int32(topics.length);
  for (const topic of topics) writer.int8(TOPIC).text(topic).int32(1).text(setting);
  writer.int8(0); // Without synonyms.
  const answers = await request(broker, DESCRIBE, writer.done(), (bytes) => decodeDescribed(bytes, setting));
  const byTopic = new Map(answers.map((answer) => [answer.topic, answer]));
  return topics.map((topic) => {
    const answer = byTopic.get(topic);
    if (answer === undefined || answer.code === CODES.TOPIC_AUTHORIZATION_FAILED) return null;
    if (answer.code !== 0) throw settingsRefused(answer);
    return answer.value;
  });
}

/** By topic, in order of `topics`; null where the broker does not let us read the settings. */
export async function describeTimestamps(
  broker: BrokerNode,
  topics: readonly string[],
): Promise<ReadonlyArray<TimestampType | null>> {
  const values = await describe(broker, topics, TIMESTAMP_TYPE);
  return values.map((value) => (value === 'LogAppendTime' || value === 'CreateTime' ? value : null));
}

/** Bytes that a batch may have, by topic, in order of `topics`; null where the broker does not let us read the settings. */
export async function describeRecordLimits(
  broker: BrokerNode,
  topics: readonly string[],
): Promise<ReadonlyArray<number | null>> {
  const values = await describe(broker, topics, RECORD_LIMIT);
  return values.map((value) => (value === null || !/^\d+$/.test(value) ? null : Number(value)));
}

/** Whether old records of a key are removed, by topic, in order of `topics`; null where the broker does not let us read the settings. */
export async function describeCompaction(
  broker: BrokerNode,
  topics: readonly string[],
): Promise<ReadonlyArray<boolean | null>> {
  const values = await describe(broker, topics, CLEANUP);
  return values.map((value) => value?.includes('compact') ?? null);
}

/** Sets LogAppendTime on one topic; its other settings stay. */
export async function setAppendTime(broker: BrokerNode, topic: string): Promise<void> {
  const writer = new Writer().int32(1).int8(TOPIC).text(topic);
  writer.int32(1).text(TIMESTAMP_TYPE).int8(SET).text('LogAppendTime').int8(0); // Not only validated.
  const answers = await request(broker, ALTER, writer.done(), decodeAltered);
  for (const answer of answers) if (answer.code !== 0) throw settingsRefused(answer);
}

function readAnswer(cursor: Cursor): Answer {
  const code = cursor.int16();
  const message = cursor.text();
  cursor.pos += 1; // Type of resource.
  return { code, message, topic: cursor.text() };
}

function decodeDescribed(bytes: Buffer, setting: string): Described[] {
  const cursor = new Cursor(bytes, 4); // After throttle time.
  const described: Described[] = [];
  for (let results = cursor.int32(); results > 0; results--) {
    const answer = readAnswer(cursor);
    let found: string | null = null;
    for (let settings = cursor.int32(); settings > 0; settings--) {
      const name = cursor.text();
      const value = cursor.text();
      if (name === setting) found = value;
      cursor.pos += 3; // Read only, source, sensitive.
      for (let synonyms = cursor.int32(); synonyms > 0; synonyms--) {
        cursor.text();
        cursor.text();
        cursor.pos += 1; // Source.
      }
    }
    described.push({ ...answer, value: found });
  }
  return described;
}

function decodeAltered(bytes: Buffer): Answer[] {
  const cursor = new Cursor(bytes, 4); // After throttle time.
  return Array.from({ length: cursor.int32() }, () => readAnswer(cursor));
}
