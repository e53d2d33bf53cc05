import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { binaryHeaders, predictionEvent } from '../../schemas/cloud-event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { deadLetterRecord } from '../runtime/dead-letter-record.ts';
import type { InferenceContext } from './context.ts';

/** Headers that the last record of a send carries. */
const HEADER_BYTES = 200;

/** An answer as it goes out, and a dead letter of its request where it had to be a refusal for its size. */
export interface SizedAnswer {
  readonly prediction: Prediction;
  readonly value: Uint8Array;
  /** Those of CloudEvents, where the model declares them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly letter: OutgoingRecord | null;
}

type SizeContext = Pick<InferenceContext, 'codecs' | 'limits' | 'model' | 'project'>;

/** Encodes an answer. One that is larger than its topic takes (long entity keys, many reads) becomes the refusal `too_large`. */
export function sizedAnswer(context: SizeContext, topic: string, prediction: Prediction): SizedAnswer {
  const { codecs, limits, model, project } = context;
  const value = codecs.predictions.encode(prediction);
  const headers = answerHeaders(project, model, prediction);
  const bytes = value.byteLength + Buffer.byteLength(prediction.requestId) + HEADER_BYTES + bytesOf(headers);
  if (bytes <= limits.of(topic)) return { prediction, value, headers, letter: null };
  const refusal: Prediction = {
    ...prediction,
    status: 'refused',
    reason: 'too_large',
    score: null,
    decision: null,
    vector: [],
    reads: [],
  };
  const letter = letterOf(
    context,
    prediction,
    `The answer of ${prediction.model} to this request has ${bytes} bytes, and ${topic} takes ${limits.of(topic)} (max.message.bytes): shorten the entity keys, or raise the limit.`,
  );
  return {
    prediction: refusal,
    value: codecs.predictions.encode(refusal),
    headers: answerHeaders(project, model, refusal),
    letter,
  };
}

/** Headers of a prediction's record as its model declares them. */
export const answerHeaders = (
  { prefix }: Pick<Project, 'prefix'>,
  { cloudEvents }: Pick<Model, 'cloudEvents'>,
  prediction: Prediction,
): Readonly<Record<string, string>> =>
  cloudEvents ? binaryHeaders(predictionEvent(prefix, prediction)) : NO_HEADERS;

const NO_HEADERS = {};

/** With a few bytes of lengths for each. */
const bytesOf = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 8, 0);

function letterOf(
  { codecs, limits, model, project }: SizeContext,
  prediction: Prediction,
  detail: string,
): OutgoingRecord {
  const { sourceTopic, sourcePartition, sourceOffset, rawAppendTime, requestId, requestTime } = prediction;
  const topic = topics.deadLetters(project.prefix, model.request.source);
  const place = { topic, partition: sourcePartition, keyed: false };
  return deadLetterRecord(codecs, limits, place, {
    stage: 'inference',
    code: 'too_large',
    detail,
    sourceTopic,
    sourcePartition,
    sourceOffset,
    appendTime: rawAppendTime,
    arrivedAt: null,
    eventId: requestId,
    eventTime: requestTime,
    writer: `inference ${prediction.model}`,
    key: null,
    value: null,
  });
}
