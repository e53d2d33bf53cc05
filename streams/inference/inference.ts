import type { Kafka, OutgoingRecord, Position, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { LayoutMismatch } from '../../models/artefact.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { groups, topics } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { liveOn, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { answerRecords, positionsAfter } from './answers.ts';
import { Gate } from './gate.ts';
import {
  type Asked,
  answerOf,
  draftOf,
  type Models,
  predictionId,
  type ScoringModel,
  shadowId,
} from './predict.ts';
import { type Ready, RequestQueue, takeReady, type Waiting } from './requests.ts';
import { readResumes } from './resume.ts';
import { SnapshotReader } from './snapshot.ts';
import { type Target, type Vector, VectorReader } from './vector.ts';

export interface InferenceDeps {
  readonly project: Project;
  readonly model: Model;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Follows the registry. */
  readonly models: Models;
  /** How long a replayed request may wait at the gate, ms. */
  readonly replayGateLimitMs?: number;
}

/** The state went back or was lost between the gate and the read; a replay waits until it is there again. */
export class StateWentBack extends MillraceError {
  readonly code = 'state_went_back';
  readonly retriable = true;
}

/** A replayed request has waited longer than its operator allows. */
export class GateTimeout extends MillraceError {
  readonly code = 'gate_timeout';
  readonly retriable = false;
}

const MAX_BATCH = 500;
const MAX_POLL_RECORDS = 2_000;
/** Waiting records of a partition above which no more are taken from it. */
const MAX_WAITING = 4_000;
const LOOK_EVERY_MS = 2;
const IDLE_POLL_MS = 200;

type Request = NonNullable<Waiting['request']>;

/**
 * Validated topic + online store -> predictions topic, and the scores of challengers beside it. A batch's shadow scores are
 * acknowledged before its predictions are sent, and with them the clocks among these: whoever sees a clock finds both.
 */
export function createInference(deps: InferenceDeps): Stream {
  const { project, model, kafka, store, codecs, clock, telemetry } = deps;
  const { prefix } = project;
  const source = model.request.source;
  const validatedTopic = topics.validated(prefix, source);
  const predictionsTopic = topics.predictions(prefix, model.name);
  const shadowTopic = topics.shadow(prefix, model.name);
  const rawTopic = topics.raw(prefix, source);
  const codec = codecs.validated(source);
  const name = `inference ${model.name}`;
  const mismatched = new Set<number>();

  /** Once a version: its refusals are counted like all others. */
  function tellMismatch({ reason, modelVersion }: Prediction, scorer: ScoringModel | null): void {
    if (reason !== 'layout_mismatch' || scorer === null || mismatched.has(modelVersion)) return;
    mismatched.add(modelVersion);
    telemetry.failure(
      name,
      new LayoutMismatch(`${model.name}, version ${modelVersion},`, scorer.layoutHash, model.layoutHash),
    );
  }

  async function life(signal: AbortSignal, healthy: () => void): Promise<void> {
    const checkpoint = new Checkpoint(kafka, null);
    const snapshots = new SnapshotReader(store);
    const vectors = new VectorReader(project, model, snapshots);
    const gate = new Gate(snapshots, vectors.partitions);
    let queues = new Map<number, RequestQueue>();

    let sending: Promise<void> = Promise.resolve();
    /** A replay's clock may have been passed on, here or before this life, and no request answered since. */
    let clockWent = true;
    /** Why the last send failed; seen at the next turn of the loop, whether anything more is to be sent or not. */
    let failure: unknown = null;

    async function onAssigned(assigned: readonly TopicPartition[]): Promise<Position[]> {
      await sending;
      queues = new Map();
      if (assigned.length === 0) return [];
      clockWent = true;
      const resumeOf = await readResumes(kafka, codecs.predictions, {
        predictions: predictionsTopic,
        shadow: shadowTopic,
      });
      return assigned.map((tp): Position => {
        const resume = resumeOf(tp.partition);
        queues.set(tp.partition, new RequestQueue(tp, resume));
        telemetry.note(name, 'assigned', { partition: tp.partition, next: resume.next });
        return resume.next === 0 ? 'earliest' : resume.next;
      });
    }

    const consumer = await kafka.consumer({
      group: groups.inference(prefix, model.name),
      topics: [validatedTopic],
      onAssigned,
      maxPollRecords: MAX_POLL_RECORDS,
    });

    function targetsOf({ event }: ValidatedEvent): readonly Target[] | null | 'not a request' {
      return event.type === model.request.eventType ? vectors.targets(event) : 'not a request';
    }

    /** Whether the record at a head may go now; notes since when it could not. */
    function mayGo(waiting: Waiting, now: number): boolean {
      const { request } = waiting;
      if (request === null || request.targets === null || gate.open(request.targets)) return true;
      if (waiting.blockedAt === 0) waiting.blockedAt = now;
      const waited = now - waiting.blockedAt;
      if (!waiting.replayed) return waited >= model.gate.maxWait;
      if (waited > (deps.replayGateLimitMs ?? Number.POSITIVE_INFINITY))
        throw new GateTimeout(
          `Request ${request.event.id} has waited ${Math.round(waited)} ms for its features (${gate.missing(request.targets)}). Is the features stream running?`,
        );
      return false;
    }

    function take(held: readonly RequestQueue[]): { ready: Ready[]; blocked: boolean } {
      const now = clock.now();
      return takeReady(held, MAX_BATCH, (waiting) => mayGo(waiting, now));
    }

    async function answer(ready: readonly Ready[]): Promise<void> {
      const started = performance.now();
      const requests = ready.filter((item): item is Ready & { request: Request } => item.request !== null);
      const readable = requests.filter(({ request }) => request.targets !== null);
      const read =
        readable.length === 0
          ? []
          : await vectors.read(
              readable.map(({ request }) => ({ event: request.event, targets: request.targets ?? [] })),
            );
      const vectorOf = new Map<Ready, Vector>(readable.map((item, i) => [item, read[i] ?? NO_KEY]));
      for (const item of readable)
        if (item.replayed) mustBeExact(item.request.event.id, vectorOf.get(item) ?? NO_KEY);
      const readAt = performance.now();
      // A replay waits at a clock until the models are there that its past would have had.
      if (clockWent && requests.length > 0) await deps.models.refresh();
      clockWent =
        ready.some(({ clock: mark }) => mark !== null && mark.replay !== null) ||
        (clockWent && requests.length === 0);
      const rolesAt = deps.models.current();
      const scoringAt = performance.now();
      const answered: Array<{ readonly item: Ready; readonly prediction: Prediction }> = [];
      const shadowed: Array<{ readonly item: Ready; readonly prediction: Prediction }> = [];
      const now = clock.now();
      for (const item of requests) {
        const { event } = item.request;
        const { champion, shadows } = rolesAt(event.time);
        const vector = vectorOf.get(item) ?? NO_KEY;
        const draft = draftOf(model, askedOf(item, vector, now));
        const prediction = answerOf(draft, predictionId(event.id, model.name), vector, champion);
        tell(prediction);
        tellMismatch(prediction, champion);
        answered.push({ item, prediction });
        for (const shadow of shadows) {
          if (item.request.offset <= (item.queue.shadowed.get(shadow.version) ?? -1)) continue;
          const beside = answerOf(draft, shadowId(event.id, model.name, shadow.version), vector, shadow);
          tellMismatch(beside, shadow);
          shadowed.push({ item, prediction: beside });
        }
      }
      const scoredAt = performance.now();
      const ms = { readMs: readAt - started, scoreMs: scoredAt - scoringAt };
      const encode = (prediction: Prediction) => codecs.predictions.encode({ ...prediction, ...ms });
      const encoded = new Map(answered.map(({ item, prediction }) => [item, encode(prediction)]));
      const records = answerRecords(predictionsTopic, ready, encoded);
      const beside = shadowed.map(({ item, prediction }) => ({
        topic: shadowTopic,
        partition: item.queue.partition,
        key: Buffer.from(prediction.requestId),
        value: encode(prediction),
      }));
      telemetry.step(name, 'read', ms.readMs, requests.length);
      telemetry.step(name, 'score', ms.scoreMs, answered.length + shadowed.length);
      await sending;
      sending = deliver(beside, records, ready, requests.length);
      sending.catch((error: unknown) => {
        failure = error;
      });
    }

    /** Nothing is sent before the batch before it is acknowledged; meanwhile the next one is read and scored. */
    async function deliver(
      beside: OutgoingRecord[],
      records: OutgoingRecord[],
      ready: readonly Ready[],
      requests: number,
    ): Promise<void> {
      const started = performance.now();
      await checkpoint.send(beside);
      await checkpoint.send(records);
      checkpoint.report(consumer, positionsAfter(validatedTopic, ready), clock.now());
      telemetry.step(name, 'send', performance.now() - started, requests);
    }

    function askedOf(item: Ready & { request: Request }, vector: Vector, now: number): Asked {
      const { request, blockedAt, queue } = item;
      return {
        event: request.event,
        vector,
        sourceTopic: rawTopic,
        sourcePartition: queue.partition,
        sourceOffset: request.offset,
        rawAppendTime: request.appendTime,
        waitMs: blockedAt === 0 ? 0 : now - blockedAt,
      };
    }

    function tell({ reads, reason, score }: Prediction): void {
      for (const { view, ageMs } of reads) telemetry.featureAge(view, ageMs);
      if (reason !== null) telemetry.refused(name, reason, 1);
      if (score !== null) telemetry.score(model.name, score);
    }

    /** Records wait here only up to a bound; past it, fetching waits too. */
    function balance(held: readonly RequestQueue[]): void {
      const full = held.filter(({ size }) => size >= MAX_WAITING);
      const free = held.filter(({ size }) => size < MAX_WAITING);
      if (full.length > 0) consumer.pause(full);
      if (free.length > 0) consumer.resume(free);
    }

    try {
      while (!signal.aborted) {
        if (failure !== null) throw failure;
        const waiting = [...queues.values()].some(({ size }) => size > 0);
        const poll = await consumer.poll(waiting ? LOOK_EVERY_MS : IDLE_POLL_MS);
        const held = [...queues.values()];
        for (const batch of poll.batches) {
          telemetry.lag(
            name,
            batch.topic,
            batch.partition,
            batch.highWatermark - (batch.records.at(-1)?.offset ?? 0) - 1,
          );
          queues.get(batch.partition)?.add(batch, codec, targetsOf);
        }
        for (let more = true; more; ) {
          let taken = take(held);
          if (taken.blocked && taken.ready.length < MAX_BATCH / 2) {
            await gate.look();
            const again = take(held);
            taken = { ready: [...taken.ready, ...again.ready], blocked: again.blocked };
          }
          if (taken.ready.length > 0) await answer(taken.ready);
          more = taken.ready.length >= MAX_BATCH && !signal.aborted;
        }
        balance(held);
        healthy();
      }
      await sending;
    } finally {
      await checkpoint.close(consumer);
    }
  }

  return {
    name,
    run: (signal) => liveOn(name, clock, telemetry, signal, (healthy) => life(signal, healthy)),
  };
}

/** A replay never answers from an older head: whoever finds one waits. */
function mustBeExact(request: string, vector: Vector): void {
  const lost = vector.status === 'refused' && vector.reason !== 'behind' && vector.reason !== 'missing_key';
  if (lost || vector.reads.some(({ asOf, head }) => asOf < head))
    throw new StateWentBack(
      `The features of request ${request} were there and are gone; waiting until they are rebuilt.`,
    );
}

const NO_KEY: Vector = { status: 'refused', reason: 'missing_key', reads: [] };
