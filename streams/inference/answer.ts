import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { LayoutMismatch } from '../../models/artefact.ts';
import { rawTopicNamed, topics } from '../../schemas/names.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { answerRecords, positionsAfter } from './answer-records.ts';
import { type SizedAnswer, sizedAnswer } from './answer-size.ts';
import type { InferenceContext } from './context.ts';
import { type Asked, answerOf, draftOf, predictionId, type ScoringModel, shadowId } from './predict.ts';
import type { Ready, Turn, Waiting } from './requests.ts';
import { NO_KEY, type Vector } from './vector.ts';

/** The state went back or was lost between the gate and the read; whoever can wait does so until it is there again. */
export class StateWentBack extends MillraceError {
  readonly code = 'state_went_back';
  readonly retriable = true;
}

type Request = NonNullable<Waiting['request']>;
type Asking = Turn & { readonly request: Request };

/** What answering needs of inference, wherever the requests come from. */
export type AnswerContext = Pick<
  InferenceContext,
  | 'clock'
  | 'clockWent'
  | 'codecs'
  | 'guards'
  | 'limits'
  | 'mismatched'
  | 'model'
  | 'models'
  | 'name'
  | 'project'
  | 'telemetry'
  | 'vectors'
>;

/** A request with one version's answer. */
interface Answer {
  readonly item: Asking;
  readonly prediction: Prediction;
}

/** A live request that may wait for so long is worth beginning again for, ms. */
const LONG_WAIT_MS = 1_000;

/**
 * Reads the vectors of a batch, scores them, and begins to send. A batch's shadow scores are acknowledged before its predictions
 * are sent, and with them the clocks among these: whoever sees a clock finds both. Nothing is sent before the batch before
 * it is acknowledged; meanwhile the next one is read and scored.
 */
export async function answer(context: InferenceContext, ready: readonly Ready[]): Promise<void> {
  const { model, project } = context;
  const { before, encoded, requests } = await scoreTurns(context, ready);
  const records = answerRecords(topics.predictions(project.prefix, model.name), ready, encoded);
  await context.sending;
  context.sending = deliver(context, [before, records], ready, requests);
  context.sending.catch((error: unknown) => {
    context.failure = error;
  });
}

/** Answers as they go out, by their requests, and what goes out before them: shadow scores and dead letters. */
export interface Scored {
  readonly encoded: ReadonlyMap<Turn, SizedAnswer>;
  readonly before: readonly OutgoingRecord[];
  readonly requests: number;
}

/** Reads the vectors of a batch and scores them. */
export async function scoreTurns(context: AnswerContext, turns: readonly Turn[]): Promise<Scored> {
  const { model, name, project, telemetry } = context;
  const started = performance.now();
  const requests = turns.filter((item): item is Asking => item.request !== null);
  const vectorOf = await readVectors(context, requests);
  const readMs = performance.now() - started;
  await refreshModels(context, turns, requests.length);
  const scoring = performance.now();
  const { answered, shadowed } = scoreAll(context, requests, vectorOf);
  const scoreMs = performance.now() - scoring;
  const predictions = topics.predictions(project.prefix, model.name);
  const shadow = topics.shadow(project.prefix, model.name);
  const encoded = new Map<Turn, SizedAnswer>();
  const before: OutgoingRecord[] = [];
  for (const { item, prediction } of answered) {
    const sized = sizedAnswer(context, predictions, { ...prediction, readMs, scoreMs });
    tell(context, sized.prediction);
    encoded.set(item, sized);
    if (sized.letter !== null) before.push(sized.letter);
  }
  for (const { item, prediction } of shadowed)
    before.push({
      topic: shadow,
      partition: item.queue.partition,
      key: Buffer.from(prediction.requestId),
      value: sizedAnswer(context, shadow, { ...prediction, readMs, scoreMs }).value,
    });
  telemetry.step(name, 'read', readMs, requests.length);
  telemetry.step(name, 'score', scoreMs, requests.length);
  return { encoded, before, requests: requests.length };
}

async function deliver(
  { checkpoint, model, name, project, telemetry }: InferenceContext,
  outputs: ReadonlyArray<readonly OutgoingRecord[]>,
  ready: readonly Ready[],
  requests: number,
): Promise<void> {
  const offsets = positionsAfter(topics.validated(project.prefix, model.request.source), ready);
  const { sendMs } = await checkpoint.flush({ outputs, offsets });
  for (const item of ready) item.queue.acknowledge(item);
  telemetry.step(name, 'send', sendMs, requests);
}

async function readVectors(
  context: AnswerContext,
  requests: readonly Asking[],
): Promise<ReadonlyMap<Turn, Vector>> {
  const { vectors } = context;
  const readable = requests.filter(({ request }) => request.targets !== null);
  if (readable.length === 0) return new Map();
  const read = await vectors.read(
    readable.map(({ time, request }) => ({ event: request.event, time, targets: request.targets ?? [] })),
  );
  for (const [i, item] of readable.entries())
    if (couldWait(context, item)) mustBeExact(item.request.event.id, read[i] ?? NO_KEY);
  return new Map(readable.map((item, i) => [item, read[i] ?? NO_KEY]));
}

/**
 * Whether a request need not be answered from an older head: in a replay never, and in backlog or with a long patience not where it
 * passed the gate because its features were there. One that passed for want of time is answered from what there is.
 */
function couldWait({ guards, model }: AnswerContext, { backlog, promised, replayed }: Asking): boolean {
  return replayed || (promised && ((backlog && guards.backlogWaits) || model.gate.maxWait >= LONG_WAIT_MS));
}

/** Throws where a vector is not that of its full head. */
function mustBeExact(request: string, vector: Vector): void {
  const lost = vector.status === 'refused' && vector.reason !== 'behind' && vector.reason !== 'missing_key';
  if (lost || vector.reads.some(({ asOf, head }) => asOf < head))
    throw new StateWentBack(
      `The features of request ${request} were there and are gone; waiting until they are rebuilt.`,
    );
}

/** A replay waits at a clock until the models are there that its past would have had. */
async function refreshModels(
  context: AnswerContext,
  ready: readonly Turn[],
  requests: number,
): Promise<void> {
  if (context.clockWent && requests > 0) await context.models.refresh();
  context.clockWent =
    ready.some(({ clock }) => clock !== null && clock.replay !== null) ||
    (context.clockWent && requests === 0);
}

function scoreAll(
  context: AnswerContext,
  requests: readonly Asking[],
  vectorOf: ReadonlyMap<Turn, Vector>,
): { readonly answered: readonly Answer[]; readonly shadowed: readonly Answer[] } {
  const { clock, model, models } = context;
  const rolesAt = models.current();
  const answered: Answer[] = [];
  const shadowed: Answer[] = [];
  const now = clock.now();
  for (const item of requests) {
    const { event, offset } = item.request;
    const { champion, shadows } = rolesAt(event.time);
    const vector = vectorOf.get(item) ?? NO_KEY;
    const draft = draftOf(model, askedOf(context, item, vector, now));
    const prediction = answerOf(draft, predictionId(event.id, model.name), vector, champion);
    tellMismatch(context, prediction, champion);
    answered.push({ item, prediction });
    for (const shadow of shadows) {
      if (offset <= (item.queue.shadowed.get(shadow.version) ?? -1)) continue;
      const beside = answerOf(draft, shadowId(event.id, model.name, shadow.version), vector, shadow);
      tellMismatch(context, beside, shadow);
      shadowed.push({ item, prediction: beside });
    }
  }
  return { answered, shadowed };
}

function askedOf({ model, project }: AnswerContext, item: Asking, vector: Vector, now: number): Asked {
  const { request, blockedAt, queue } = item;
  return {
    event: request.event,
    vector,
    sourceTopic: rawTopicNamed(project, model.request.source),
    sourcePartition: queue.partition,
    sourceOffset: request.offset,
    rawAppendTime: request.appendTime,
    waitMs: blockedAt === 0 ? 0 : now - blockedAt,
  };
}

function tell({ model, name, telemetry }: AnswerContext, { reads, reason, score }: Prediction): void {
  for (const { view, ageMs } of reads) telemetry.featureAge(view, ageMs);
  if (reason !== null) telemetry.refused(name, reason, 1);
  if (score !== null) telemetry.score(model.name, score);
}

/** Once a version: its refusals are counted like all others. */
function tellMismatch(
  { mismatched, model, name, telemetry }: AnswerContext,
  { reason, modelVersion }: Prediction,
  scorer: ScoringModel | null,
): void {
  if (reason !== 'layout_mismatch' || scorer === null || mismatched.has(modelVersion)) return;
  mismatched.add(modelVersion);
  telemetry.failure(
    name,
    new LayoutMismatch(`${model.name}, version ${modelVersion},`, scorer.layoutHash, model.layoutHash),
  );
}
