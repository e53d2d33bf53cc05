import { readFile, rename, writeFile } from 'node:fs/promises';
import { boundsOf } from '../infrastructure/kafka/bounds.ts';
import type { KafkaRecord } from '../infrastructure/kafka/port.ts';
import { type Codec, createCodec, DecodeFailure } from '../schemas/codec.ts';
import { topics } from '../schemas/names.ts';
import { type Prediction, predictionSchema } from '../schemas/records/prediction.ts';
import { MillraceError } from '../schemas/refusal.ts';
import type { ClientProject } from './contract.ts';
import { type Following, follow } from './follow.ts';
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
  readonly project: ClientProject;
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

export interface Subscription extends Following {
  /** After the last batch that was handled. */
  checkpoint(): Checkpoint;
}

export class SubscriptionError extends MillraceError {
  readonly code: 'unknown_model' | 'bad_checkpoint' | 'unreadable_prediction';
  readonly retriable = false;

  constructor(code: SubscriptionError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

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
  function newPredictions(records: readonly KafkaRecord[]): Prediction[] {
    const fresh: Prediction[] = [];
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
    return fresh;
  }

  const following = follow({
    ports,
    topic,
    codec,
    positions: () => places.map(({ offset }) => offset),
    async handle(records) {
      const fresh = newPredictions(records);
      const at = reached();
      if (fresh.length > 0) await handler(fresh, at);
      handled = at;
      if (options.file !== undefined) await writeCheckpoint(options.file, at);
    },
    onTrouble: options.onTrouble,
  });
  return { ...following, checkpoint: () => handled };
}

async function firstPlaces(
  ports: Ports,
  topic: string,
  from: Checkpoint | 'earliest' | 'latest',
): Promise<Place[]> {
  const offsets = await boundsOf(ports.kafka, topic);
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
