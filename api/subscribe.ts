import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaRecord, Reader } from '../infrastructure/kafka/port.ts';
import { type Codec, createCodec, DecodeFailure, wireId } from '../schemas/codec.ts';
import { topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import { type Prediction, predictionSchema } from '../schemas/records/prediction.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { openPorts, type Ports } from './ports.ts';

/** How far a subscriber has come: plain JSON. Whoever keeps it goes on there, without a loss or a repeat. */
export interface Checkpoint {
  readonly format: 1;
  readonly topic: string;
  readonly partitions: ReadonlyArray<{
    /** Next offset to read. */
    readonly offset: number;
    /** Largest source offset seen: predictions at or below it are repeats. -1 before the first. */
    readonly mark: number;
  }>;
}

export interface SubscribeOptions {
  readonly project: Project;
  readonly model: string;
  /** Default `latest`: what is predicted from now on. */
  readonly from?: Checkpoint | 'earliest' | 'latest';
  /** Keeps the checkpoint in this file, after each batch that was handled, and goes on from it where it is there. */
  readonly file?: string;
  /** Told of outages that the subscription waits out. */
  readonly onTrouble?: (error: MillraceError) => void;
  readonly ports?: Ports;
}

/**
 * Gets predictions in the order of their partitions, and the checkpoint as it is after them: who stores both in one
 * transaction handles each prediction exactly once; else, after a crash, the last batch comes again. The next batch
 * waits for the handler. An error that it throws ends the subscription.
 */
export type PredictionHandler = (
  predictions: readonly Prediction[],
  checkpoint: Checkpoint,
) => void | Promise<void>;

export interface Subscription {
  /** Resolves when the subscription has been closed, rejects with what ended it. */
  readonly done: Promise<void>;
  /** After the last batch that was handled. */
  checkpoint(): Checkpoint;
  close(): Promise<void>;
}

export class SubscriptionError extends MillraceError {
  readonly code: 'unknown_model' | 'bad_checkpoint' | 'unreadable_prediction';
  readonly retriable = false;

  constructor(code: SubscriptionError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** What the handler threw: never met by trying again, whatever it is. */
class HandlerFailure extends Error {
  constructor(cause: unknown) {
    super('the handler failed', { cause });
  }
}

const POLL_MS = 500;
/** Records read back in front of `latest`, to learn which predictions would be repeats. */
const READ_BACK = 200;

interface Place {
  offset: number;
  mark: number;
  /** Before this offset records only tell marks. */
  readonly deliverFrom: number;
}

/** Follows the predictions of a model. Clock records of replays are left out, and so are repeats. */
export async function subscribe(
  options: SubscribeOptions,
  handler: PredictionHandler,
): Promise<Subscription> {
  const { project, model } = options;
  if (!project.models.some(({ name }) => name === model)) {
    const names = project.models.map(({ name }) => name).join(', ');
    throw new SubscriptionError(
      'unknown_model',
      `the project ${project.name} has no model '${model}'; it has: ${names}`,
    );
  }
  const topic = topics.predictions(project.prefix, model);
  const ports = openPorts(project, options.ports);
  const closing = new AbortController();
  let reader: Reader | null = null;
  let places: Place[];
  let codec: Codec<Prediction>;
  try {
    places = await firstPlaces(
      ports,
      topic,
      (await readCheckpoint(options.file, topic)) ?? options.from ?? 'latest',
    );
    codec = createCodec<Prediction>(
      predictionSchema,
      await ports.registry.register(`${topic}-value`, predictionSchema),
    );
  } catch (error) {
    await ports.close();
    throw error;
  }

  const reached = (): Checkpoint => ({
    format: 1,
    topic,
    partitions: places.map(({ offset, mark, deliverFrom }) => ({
      offset: Math.max(offset, deliverFrom),
      mark,
    })),
  });

  let handled = reached();

  /** Predictions among the records that are no repeats; moves the places on. */
  function take(records: readonly KafkaRecord[], fresh: Prediction[]): void {
    for (const record of records) {
      const place = places[record.partition];
      if (place === undefined || record.offset < place.offset) continue;
      place.offset = record.offset + 1;
      if (record.value === null) continue; // A clock record: of use to a replay only.
      const prediction = codec.decode(record.value);
      if (prediction instanceof DecodeFailure) {
        const at = `${topic}:${record.partition} at offset ${record.offset}`;
        throw new SubscriptionError('unreadable_prediction', `${at} cannot be read: ${prediction.detail}`);
      }
      if (prediction.sourceOffset <= place.mark) continue;
      place.mark = prediction.sourceOffset;
      if (record.offset >= place.deliverFrom) fresh.push(prediction);
    }
  }

  /** Learns schemas that an older or newer Millrace wrote. */
  const learnt = new Set([codec.id]);
  async function learn(records: readonly KafkaRecord[]): Promise<void> {
    const ids = new Set<number>();
    for (const { value } of records) {
      const id = value === null ? codec.id : wireId(value);
      if (typeof id === 'number' && !learnt.has(id)) ids.add(id);
    }
    if (ids.size === 0) return;
    for (const [id, schema] of await ports.registry.schemasById(ids)) {
      if (schema === null) continue;
      codec.accept(id, schema);
      learnt.add(id);
    }
  }

  async function round(): Promise<void> {
    reader ??= await ports.kafka.reader(
      places.map(({ offset }, partition) => ({ topic, partition, position: offset })),
    );
    const batches = await reader.poll(POLL_MS);
    if (batches.length === 0 || closing.signal.aborted) return;
    const records = batches.flatMap((batch) => batch.records);
    await learn(records);
    const fresh: Prediction[] = [];
    take(records, fresh);
    const at = reached();
    try {
      if (fresh.length > 0) await handler(fresh, at);
    } catch (error) {
      throw new HandlerFailure(error);
    }
    handled = at;
    if (options.file !== undefined) await writeCheckpoint(options.file, at);
  }

  async function follow(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; ) {
      try {
        await round();
        failures = 0;
      } catch (error) {
        if (error instanceof HandlerFailure) throw error.cause;
        if (closing.signal.aborted) return;
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        options.onTrouble?.(error);
        await reader?.close().catch(() => {});
        reader = null;
        await sleep(Math.min(5_000, 100 * 2 ** failures++), undefined, { signal: closing.signal }).catch(
          () => {},
        );
      }
    }
  }

  async function release(): Promise<void> {
    await reader?.close().catch(() => {});
    await ports.close();
  }

  const done = follow().finally(release);
  done.catch(() => {}); // Whoever looks at `done` is told; a subscriber that does not is not ended by it.
  return {
    done,
    checkpoint: () => handled,
    async close() {
      closing.abort();
      await reader?.close().catch(() => {});
      await done.catch(() => {});
    },
  };
}

async function firstPlaces(
  ports: Ports,
  topic: string,
  from: Checkpoint | 'earliest' | 'latest',
): Promise<Place[]> {
  const admin = await ports.kafka.admin();
  const offsets = await admin.offsets(topic).finally(() => admin.close());
  if (from === 'earliest')
    return offsets.map(({ start }) => ({ offset: start, mark: -1, deliverFrom: start }));
  if (from === 'latest') {
    return offsets.map(({ start, end }) => ({
      offset: Math.max(start, end - READ_BACK),
      mark: -1,
      deliverFrom: end,
    }));
  }
  if (from.format !== 1 || from.topic !== topic || from.partitions.length !== offsets.length) {
    throw new SubscriptionError(
      'bad_checkpoint',
      `the checkpoint is one of ${from.topic} with ${from.partitions.length} partitions (format ${from.format}), not of ${topic} with ${offsets.length}; begin anew with from: 'earliest' or 'latest'`,
    );
  }
  return from.partitions.map(({ offset, mark }) => ({ offset, mark, deliverFrom: offset }));
}

async function readCheckpoint(file: string | undefined, topic: string): Promise<Checkpoint | null> {
  if (file === undefined) return null;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const read = JSON.parse(text) as Partial<Checkpoint> | null;
    if (read?.format === 1 && Array.isArray(read.partitions) && typeof read.topic === 'string')
      return read as Checkpoint;
  } catch {
    // Told below.
  }
  throw new SubscriptionError(
    'bad_checkpoint',
    `${file} holds no checkpoint of ${topic}; remove it to begin anew`,
  );
}

async function writeCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(checkpoint));
  await rename(`${file}.new`, file);
}
