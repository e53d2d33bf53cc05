import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { type Bounds, boundsOf } from '../../infrastructure/kafka/bounds.ts';
import { createKafka } from '../../infrastructure/kafka/driver.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { createRegistry } from '../../infrastructure/registry/client.ts';
import type { SchemaRegistry } from '../../infrastructure/registry/port.ts';
import { createValueReader, parseSchema } from '../../schemas/avro.ts';
import { DecodeFailure, readWire, wireId } from '../../schemas/codec.ts';
import type { Connections } from '../../schemas/project.ts';
import { registeredSchema } from '../../schemas/registered-schema.ts';
import { ofAnybody } from '../../streams/runtime/topic.ts';
import { UsageError } from '../errors.ts';
import { exampleOf } from './schema-example.ts';

/** Sample records, and the subject of their schema where they are Avro. */
export interface Samples {
  readonly records: readonly unknown[];
  readonly subject: string | null;
  /** Where they came from, for a person. */
  readonly from: string;
  /** The topic that was looked at. */
  readonly topic?: SampledTopic;
}

export interface SampledTopic {
  readonly name: string;
  readonly partitions: number;
}

const MOST = 100;
const POLL_MS = 500;
const READ_WITHIN_MS = 10_000;

/** Records of `{…}`, `-` (standard input) or a file: one JSON object, a list of them, or one a line. */
export async function readSamples(given: string): Promise<Samples> {
  if (/^\s*[[{]/.test(given)) return parsed(given, 'the sample');
  if (given === '-') return parsed(await text(process.stdin), 'standard input');
  if (!existsSync(given)) throw new UsageError(`There is no file ${given}, and it is no JSON either.`);
  return parsed(readFileSync(given, 'utf8'), given);
}

function parsed(source: string, from: string): Samples {
  const whole = tryJson(source);
  const list =
    whole === undefined
      ? source
          .split(/\r?\n/)
          .filter((line) => line.trim() !== '')
          .slice(0, MOST)
          .map((line, row) => lineOf(line, row, from))
      : Array.isArray(whole)
        ? whole.slice(0, MOST)
        : [whole];
  const records = list.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one));
  if (records.length === 0)
    throw new UsageError(`${from} holds no JSON object: give a record such as {"id": "1", "time": …}.`);
  return { records, subject: null, from };
}

function tryJson(source: string): unknown {
  try {
    return JSON.parse(source) as unknown;
  } catch {
    return undefined;
  }
}

function lineOf(line: string, row: number, from: string): unknown {
  const record = tryJson(line);
  if (record === undefined)
    throw new UsageError(
      `${from}, line ${row + 1} is no JSON: ${line.slice(0, 60)}${line.length > 60 ? '…' : ''}`,
    );
  return record;
}

/** The newest records of a topic; of an empty one with a schema in the registry, an example made of that. */
export async function sampleTopic(
  topic: string,
  connections: Pick<Connections, 'kafka' | 'registry'>,
): Promise<Samples> {
  const kafka = createKafka(connections, { clientId: 'millrace-init' });
  const registry = createRegistry(connections.registry);
  try {
    const bounds = await boundsOf(kafka, topic);
    const values = await newest(kafka, topic, bounds);
    const samples =
      values.length === 0 ? await fromSchema(topic, registry) : await decoded(topic, values, registry);
    return { ...samples, topic: { name: topic, partitions: bounds.length } };
  } finally {
    await registry.close();
    await kafka.close();
  }
}

/** The last hundred values of a topic, spread over its partitions; in each, in their order. */
export async function newest(kafka: Kafka, topic: string, bounds: Bounds): Promise<Uint8Array[]> {
  const each = Math.max(1, Math.ceil(MOST / Math.max(1, bounds.length)));
  const wanted = bounds.flatMap(({ start, end }, partition) =>
    end > start ? [{ topic, partition, position: Math.max(start, end - each) }] : [],
  );
  if (wanted.length === 0) return [];
  const open = new Set(wanted.map(({ partition }) => partition));
  const values: Uint8Array[] = [];
  const reader = await ofAnybody(kafka).reader(wanted);
  const until = performance.now() + READ_WITHIN_MS;
  try {
    while (open.size > 0 && performance.now() < until) {
      for (const { records } of await reader.poll(POLL_MS))
        for (const { value } of records) if (value !== null) values.push(value);
      // Transaction markers and tombstones end a partition too.
      for (const partition of open)
        if ((reader.position({ topic, partition }) ?? 0) >= (bounds[partition]?.end ?? 0))
          open.delete(partition);
    }
  } finally {
    await reader.close();
  }
  return values.slice(0, MOST);
}

async function decoded(
  topic: string,
  values: readonly Uint8Array[],
  registry: SchemaRegistry,
): Promise<Samples> {
  const from = `topic ${topic}`;
  if (values.every((value) => value[0] !== 0)) {
    const records = values.map((value) => tryJson(new TextDecoder().decode(value)));
    const objects = records.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one));
    if (objects.length === 0)
      throw new UsageError(`The records of ${from} are neither JSON objects nor Avro of a schema registry.`);
    return { records: objects, subject: null, from };
  }
  const records: unknown[] = [];
  for (const value of values) {
    const id = wireId(value);
    const schema = typeof id === 'number' ? await registry.schemaById(id) : null;
    const { type, text, references } = registeredSchema(schema ?? { type: '', text: '', references: [] });
    if (type !== 'AVRO') continue;
    const record = readWire(createValueReader(parseSchema(text, references)), value);
    if (!(record instanceof DecodeFailure)) records.push(record);
  }
  if (records.length === 0)
    throw new UsageError(
      `The records of ${from} are Avro, but the registry knows none of their schemas: set REGISTRY_URL to the registry that does.`,
    );
  return { records, subject: `${topic}-value`, from };
}

async function fromSchema(topic: string, registry: SchemaRegistry): Promise<Samples> {
  const subject = `${topic}-value`;
  const schema = await registry.latest(subject);
  if (schema === null)
    throw new UsageError(
      `Topic ${topic} is empty, and the registry has no subject ${subject}: give a record with --sample instead.`,
    );
  return {
    records: [exampleOf(JSON.parse(schema))],
    subject,
    from: `subject ${subject}, since ${topic} is empty`,
  };
}
