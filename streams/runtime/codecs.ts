import { createHash } from 'node:crypto';
import type { Schema } from 'avsc';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { DecodedRecord } from '../../processors/segment.ts';
import { createCodec, DecodeFailure, type Codec as WireCodec } from '../../schemas/codec.ts';
import type { EventRecord, ValidatedEvent } from '../../schemas/event.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import {
  createRawCodec,
  createValidatedCodec,
  rawSchema,
  validatedSchema,
} from '../../schemas/event-schema.ts';
import { createJsonEncoder } from '../../schemas/json-event.ts';
import { headers, rawTopic, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { type Alert, alertSchema } from '../../schemas/records/alert.ts';
import { type Block, blockSchema } from '../../schemas/records/block.ts';
import { type DeadLetter, deadLetterSchema } from '../../schemas/records/dead-letter.ts';
import { type ModelVersion, modelVersionSchema } from '../../schemas/records/model-version.ts';
import { type Prediction, predictionSchema } from '../../schemas/records/prediction.ts';
import { MillraceError, type Rejected } from '../../schemas/refusal.ts';
import type { SchemaText } from '../../schemas/registered-schema.ts';
import { readClock, textOf } from './clock-record.ts';
import { envelopeOf } from './envelope.ts';

/** Bytes of one kind of record on its topic, Confluent wire format. Both directions are synchronous. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  /** Throws UnreadableRecord where a record of ours cannot be read: that is a failing world, not a bad event. */
  decode(bytes: Uint8Array): T;
  /**
   * The same of a record that somebody else may have put on one of our topics: null where it is none of ours, which is told;
   * it is passed over, since whoever writes to a topic must not end all that read it. Throws UnreadableRecord where it is of a
   * later version of Millrace.
   */
  read(bytes: Uint8Array): T | null;
  /** Ids of the very schema that `encode` writes: records that name one need not be decoded to be known. */
  readonly ids: Ids;
}

type Ids = ReadonlySet<number>;

/** Decodes what strangers send: whatever the bytes, the answer is a value. */
export interface RawDecoder {
  /**
   * Resolves the schema ids of a batch, so that decoding needs no waiting, and answers with those that the registry does not know
   * (yet). Throws RegistryError when the registry is away.
   */
  prepare(records: readonly KafkaRecord[]): Promise<readonly number[]>;
  decode(record: KafkaRecord): DecodedRecord<KafkaRecord>;
}

/** All codecs of a project, opened once with the schema ids the registry gave. */
export interface Codecs {
  readonly blocks: Codec<Block>;
  readonly predictions: Codec<Prediction>;
  readonly deadLetters: Codec<DeadLetter>;
  readonly models: Codec<ModelVersion>;
  readonly alerts: Codec<Alert>;
  raw(source: string): RawDecoder;
  /** Bytes of an event as its producer would send it. Not for Avro of a team's own, whose schema is not ours to write. */
  encodeRaw(source: string, event: EventRecord): Uint8Array;
  validated(source: string): Codec<ValidatedEvent>;
}

/** A record on one of our own topics is not in a form this version reads. */
export class UnreadableRecord extends MillraceError {
  readonly code = 'unreadable_record';
  readonly retriable = false;
}

/** What codecs need of the registry. */
export interface SchemaIds {
  /** Id of the schema under the subject; the same one again where it is there already. */
  register(subject: string, schema: Schema): Promise<number>;
  /** A schema, or null where the registry does not know the id. */
  schemaById(id: number): Promise<SchemaText | null>;
  /** Every version of a subject by the id of its schema. */
  versions(subject: string): Promise<ReadonlyMap<number, string>>;
}

/** Every subject of a project with its schema, as `apply` registers them. */
export function subjectsOf(
  project: Project,
): ReadonlyArray<{ readonly subject: string; readonly schema: Schema }> {
  const { prefix } = project;
  const subject = (topic: string, schema: Schema) => ({ subject: `${topic}-value`, schema });
  return [
    ...project.sources.flatMap((source) => [
      ...(source.format.kind === 'avro'
        ? [subject(rawTopic(prefix, source), rawSchema(source, prefix))]
        : []),
      subject(topics.validated(prefix, source.name), validatedSchema(source, prefix)),
      subject(topics.deadLetters(prefix, source.name), deadLetterSchema),
    ]),
    ...project.views.map((view) => subject(topics.view(prefix, view.id), blockSchema)),
    ...project.models.flatMap(({ name }) => [
      subject(topics.predictions(prefix, name), predictionSchema),
      subject(topics.shadow(prefix, name), predictionSchema),
      subject(topics.asked(prefix, name), predictionSchema),
    ]),
    subject(topics.models(prefix), modelVersionSchema),
    subject(topics.alerts(prefix), alertSchema),
  ];
}

/** Hears of a record on one of our topics that is none of ours: of which kind it should be, and why it is not. */
export type OnForeign = (kind: string, detail: string) => void;

/** Registers what is missing and opens all codecs of a project. Throws RegistryError. */
export async function openCodecs(
  project: Project,
  registry: SchemaIds,
  onForeign: OnForeign = () => {},
): Promise<Codecs> {
  const foreign = once(onForeign);
  const subjects = subjectsOf(project);
  const ids = new Map<string, number>();
  const versions = new Map<string, ReadonlyMap<number, string>>();
  await Promise.all(
    subjects.map(async ({ subject, schema }) => {
      ids.set(subject, await registry.register(subject, schema));
      versions.set(subject, await registry.versions(subject));
    }),
  );
  const codec = <T extends object>(schema: Schema, kind: string): Codec<T> => {
    const under = subjects.filter((entry) => entry.schema === schema).map(({ subject }) => subject);
    const known = new Set(under.map((subject) => ids.get(subject) ?? 0));
    const one = createCodec<T>(schema, [...known][0] ?? 0);
    // The same schema may have another id under another subject; all of them are ours.
    for (const id of known) if (id !== one.id) one.accept(id, schema);
    for (const subject of under) acceptEarlier(one, versions.get(subject));
    return ours(one, kind, foreign, known);
  };
  const raws = new Map<string, { decoder: RawDecoder; encode: (event: EventRecord) => Uint8Array }>();
  const validated = new Map<string, Codec<ValidatedEvent>>();
  for (const source of project.sources) {
    const id = ids.get(`${rawTopic(project.prefix, source)}-value`) ?? 0;
    const raw = createRawCodec(source, project.prefix, id);
    raws.set(source.name, {
      decoder: rawDecoder(source, project.prefix, registry),
      encode:
        source.format.kind === 'json'
          ? createJsonEncoder(source, source.format.mapping)
          : (event) => raw.encode(event),
    });
    const validatedId = ids.get(`${topics.validated(project.prefix, source.name)}-value`) ?? 0;
    const own = createValidatedCodec(source, project.prefix, validatedId);
    acceptEarlier(own, versions.get(`${topics.validated(project.prefix, source.name)}-value`));
    validated.set(source.name, ours(own, 'validated event', foreign, new Set([own.id])));
  }
  const of = <T>(map: ReadonlyMap<string, T>, source: string): T => {
    const found = map.get(source);
    if (found === undefined) throw new Error(`project ${project.name} has no source ${source}`);
    return found;
  };
  return {
    blocks: codec<Block>(blockSchema, 'block'),
    predictions: codec<Prediction>(predictionSchema, 'prediction'),
    deadLetters: codec<DeadLetter>(deadLetterSchema, 'dead letter'),
    models: codec<ModelVersion>(modelVersionSchema, 'model version'),
    alerts: codec<Alert>(alertSchema, 'alert'),
    raw: (source) => of(raws, source).decoder,
    encodeRaw: (source, event) => of(raws, source).encode(event),
    validated: (source) => of(validated, source),
  };
}

/** Records that were written before the schema changed lie on the topic yet. One that cannot be read as ours is told when it comes. */
function acceptEarlier(
  codec: Pick<WireCodec<never>, 'id' | 'accept'>,
  versions: ReadonlyMap<number, string> = new Map(),
): void {
  for (const [id, schema] of versions) {
    if (id === codec.id) continue;
    try {
      codec.accept(id, schema);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
}

type Foreign = (kind: string, detail: string, bytes: Uint8Array) => void;

/** Several streams read a topic, and each of them again after a failure: a record is told once. */
function once(tell: OnForeign): Foreign {
  const told = new Set<string>();
  return (kind, detail, bytes) => {
    const key = `${kind} ${createHash('sha1').update(bytes).digest('base64')}`;
    if (told.has(key)) return;
    if (told.size >= MAX_TOLD) told.clear();
    told.add(key);
    tell(kind, detail);
  };
}

const MAX_TOLD = 10_000;

/** What stands on our own topics can be read, or it is a fault. */
function ours<T extends object>(codec: WireCodec<T>, kind: string, foreign: Foreign, ids: Ids): Codec<T> {
  function checked(value: T): T {
    const { format } = value as { format?: number };
    if (format !== undefined && format !== 1)
      throw new UnreadableRecord(
        `A ${kind} has format ${format}; this version of Millrace reads format 1. Run the version that wrote it.`,
      );
    return value;
  }
  return {
    ids,
    encode: (value) => codec.encode(value),
    decode(bytes) {
      const value = codec.decode(bytes);
      if (value instanceof DecodeFailure)
        throw new UnreadableRecord(`A ${kind} on one of our topics cannot be read: ${value.detail}.`);
      return checked(value);
    },
    read(bytes) {
      const value = codec.decode(bytes);
      if (!(value instanceof DecodeFailure)) return checked(value);
      foreign(kind, value.detail, bytes);
      return null;
    },
  };
}

function rawDecoder(source: Source, prefix: string, registry: SchemaIds): RawDecoder {
  const decoder = createEventDecoder(source, prefix);
  return {
    async prepare(records) {
      const unknown = decoder.unknownIds(records.map(({ value }) => value));
      const found = await Promise.all(
        unknown.map(async (id) => {
          const schema = await registry.schemaById(id);
          if (schema !== null) decoder.learn(id, schema);
          return schema === null ? [id] : [];
        }),
      );
      return found.flat();
    },
    decode(record) {
      const clock = readClock(record);
      const { offset, appendTime } = record;
      const arrivedAt = arrivedAtOf(record);
      if (record.unreadable !== undefined) {
        const { bytes, detail, sha256 } = record.unreadable;
        const rejected = new DecodeFailure(
          'unreadable_batch',
          `${detail}; the batch has ${bytes} bytes, SHA-256 ${sha256}`,
        );
        return { raw: record, offset, appendTime, arrivedAt, event: null, clock: null, rejected };
      }
      if (clock !== null) {
        const rejected: Rejected | null = Number.isSafeInteger(clock.time)
          ? null
          : {
              stage: 'decode',
              code: 'bad_clock',
              detail: 'The clock record carries no whole number of milliseconds.',
            };
        return {
          raw: record,
          offset,
          appendTime,
          arrivedAt,
          event: null,
          clock: rejected === null ? clock : null,
          rejected,
        };
      }
      const decoded = decoder.decode(record.value, envelopeOf(record));
      if (decoded instanceof DecodeFailure)
        return { raw: record, offset, appendTime, arrivedAt, event: null, clock: null, rejected: decoded };
      return { raw: record, offset, appendTime, arrivedAt, event: decoded, clock: null, rejected: null };
    },
  };
}

/** When an event first arrived: what its replay carries, null where that says nothing, else the broker's append time. */
function arrivedAtOf(record: KafkaRecord): number | null {
  if (textOf(record, headers.replay) === null) return record.appendTime;
  const arrivedAt = Number(textOf(record, headers.arrivedAt) ?? Number.NaN);
  return Number.isSafeInteger(arrivedAt) ? arrivedAt : null;
}
