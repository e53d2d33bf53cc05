import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { textOf } from '../runtime/clock-record.ts';
import type { Codec } from '../runtime/codecs.ts';
import { readTails } from '../runtime/tail.ts';

/** Offset in the validated topic that comes after this prediction; on the last record of every send. */
export const NEXT_HEADER = 'mr-next';
/** Present on that record while a replay is open in its partition. */
export const OPEN_HEADER = 'mr-open';

/** Source offset that comes after this prediction, on the last record of a flush of ingest that scores by itself (streams/local). */
export const SOURCE_NEXT_HEADER = 'mr-source-next';

/** Where inference goes on in one partition. */
export interface Resume {
  /** Offset in the validated topic; 0 where nothing was answered. */
  readonly next: number;
  /** Largest source offset answered; -1 = none. */
  readonly answered: number;
  /** Largest source offset up to which all requests are answered, where ingest answered them and said so; else `answered`. */
  readonly through: number;
  /** A replay is open. */
  readonly replayed: boolean;
  /** Largest source offset that a version is in the shadow topic with, where that is beyond `answered`. */
  readonly shadowed: ReadonlyMap<number, number>;
}

const READ_BACK = 1_000;

/**
 * The last answers say where to go on: nothing else has to be remembered. Shadow scores are acknowledged before the
 * predictions of the same requests are sent, so they are never behind; a crash between the two leaves them ahead, and what
 * is there already is not sent again.
 */
export async function readResumes(
  kafka: Kafka,
  codec: Codec<Prediction>,
  topics: { readonly predictions: string; readonly shadow: string },
): Promise<(partition: number) => Resume> {
  const predictions = await readTails(kafka, topics.predictions, READ_BACK);
  const answers = predictions.map((tail) => lastAnswer(tail, codec));
  const shadows = await readAhead(
    kafka,
    codec,
    topics.shadow,
    answers.map(({ answered }) => answered),
  );
  return (partition) => ({
    ...(answers[partition] ?? { next: 0, answered: -1, through: -1, replayed: false }),
    shadowed: shadows[partition] ?? new Map(),
  });
}

function lastAnswer(tail: readonly KafkaRecord[], codec: Codec<Prediction>): Omit<Resume, 'shadowed'> {
  let next = 0;
  let answered = -1;
  let through = -1;
  let replayed = false;
  for (const record of tail) {
    const prediction = record.value === null ? null : codec.read(record.value);
    if (record.value !== null && prediction === null) continue;
    const after = textOf(record, NEXT_HEADER);
    if (after !== null) {
      next = Number(after);
      replayed = textOf(record, OPEN_HEADER) !== null;
    }
    const sourceNext = textOf(record, SOURCE_NEXT_HEADER);
    if (sourceNext !== null) through = Math.max(through, Number(sourceNext) - 1);
    if (prediction !== null) answered = prediction.sourceOffset;
    through = Math.max(through, answered);
  }
  return { next, answered, through, replayed };
}

/** How far each version is ahead of the answers, by partition; reads back as far as it must. */
async function readAhead(
  kafka: Kafka,
  codec: Codec<Prediction>,
  topic: string,
  answered: readonly number[],
): Promise<ReadonlyArray<ReadonlyMap<number, number>>> {
  for (let most = READ_BACK; ; most *= 4) {
    let deepEnough = true;
    const tails = await readTails(kafka, topic, most);
    const ahead = tails.map((tail, partition) => {
      const marks = new Map<number, number>();
      let oldest = Number.POSITIVE_INFINITY;
      for (const { value } of tail) {
        const prediction = value === null ? null : codec.read(value);
        if (prediction === null) continue;
        const { modelVersion, sourceOffset } = prediction;
        oldest = Math.min(oldest, sourceOffset);
        if (sourceOffset > (answered[partition] ?? -1))
          marks.set(modelVersion, Math.max(marks.get(modelVersion) ?? -1, sourceOffset));
      }
      if (tail.length >= most && oldest > (answered[partition] ?? -1)) deepEnough = false;
      return marks;
    });
    if (deepEnough) return ahead;
  }
}
