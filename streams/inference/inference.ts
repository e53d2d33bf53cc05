import type { Kafka, Position, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups, keys, topics } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { ALL_GUARDS, type Guards } from '../runtime/guards.ts';
import { RecordLimits } from '../runtime/record-limits.ts';
import { restartOnFailure, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { Waits } from '../runtime/waits.ts';
import { answer } from './answer.ts';
import type { InferenceContext } from './context.ts';
import { Frontiers } from './frontiers.ts';
import { HoldHints } from './hold-hints.ts';
import type { Models } from './predict.ts';
import { chooseReady, type Ready, type RequestCodec, RequestQueue, type Waiting } from './requests.ts';
import { readResumes } from './resume.ts';
import { SnapshotReader } from './snapshot.ts';
import { VectorReader } from './vector.ts';
import { writeHints } from './write-hints.ts';

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
  readonly guards?: Guards;
}

/** A replayed request has waited longer than its operator allows. */
export class GateTimeout extends MillraceError {
  readonly code = 'gate_timeout';
  readonly retriable = false;
  override readonly final = true;
}

const MAX_BATCH = 500;
const MAX_POLL_RECORDS = 2_000;
/** Waiting records of a partition above which no more are taken from it. */
const MAX_WAITING = 4_000;
const LOOK_EVERY_MS = 2;
const IDLE_POLL_MS = 200;
/** How often features is told what may still be asked for, and in backlog, ms. */
const HINT_EVERY_MS = 1_000;
const BACKLOG_HINT_EVERY_MS = 50;

/** Validated topic + online store -> predictions topic, and the scores of challengers beside it. */
export function createInference(deps: InferenceDeps): Stream {
  const { clock, telemetry, model } = deps;
  const name = `inference ${model.name}`;
  const mismatched = new Set<number>();
  const limits = new RecordLimits();
  return {
    name,
    run: (signal, healthy) =>
      restartOnFailure(
        name,
        clock,
        telemetry,
        signal,
        (done) => runLoop(deps, { mismatched, limits }, signal, done),
        healthy,
      ),
  };
}

/** What lives for as long as the stream, restarts included. */
type Kept = Pick<InferenceContext, 'mismatched' | 'limits'>;

async function runLoop(
  deps: InferenceDeps,
  kept: Kept,
  signal: AbortSignal,
  healthy: () => void,
): Promise<void> {
  const context = await openContext(deps, kept);
  let hintedAt = 0;
  let quietMoves = false;
  try {
    while (!signal.aborted) {
      if (context.failure !== null) throw context.failure;
      await queueRequests(context);
      const held = [...context.queues.values()];
      for (let more = true; more; ) {
        const ready = await takeNext(context, held);
        if (ready.length > 0) await answer(context, ready);
        more = ready.length >= MAX_BATCH && !signal.aborted;
      }
      balance(context, held);
      const inBacklog = held.some((queue) => queue.head()?.backlog === true);
      const often = inBacklog || quietMoves;
      if (deps.clock.now() - hintedAt >= (often ? BACKLOG_HINT_EVERY_MS : HINT_EVERY_MS)) {
        hintedAt = deps.clock.now();
        quietMoves = await writeHints(context, held);
      }
      context.checkpoint.report();
      healthy();
    }
    await context.sending;
  } finally {
    await context.checkpoint.close();
  }
}

async function openContext(deps: InferenceDeps, kept: Kept): Promise<InferenceContext> {
  const { project, model, kafka, store, codecs, clock, telemetry } = deps;
  const { prefix } = project;
  const name = `inference ${model.name}`;
  const snapshots = new SnapshotReader(store);
  const vectors = new VectorReader(project, model, snapshots);
  const requestCodec: RequestCodec = {
    codec: codecs.validated(model.request.source),
    targetsOf: ({ event }, time) =>
      event.type === model.request.eventType ? vectors.targets(event, time) : 'not a request',
  };
  await kept.limits.read(kafka, [
    topics.predictions(prefix, model.name),
    topics.shadow(prefix, model.name),
    topics.deadLetters(prefix, model.request.source),
  ]);
  const consumer = await kafka.consumer({
    group: groups.inference(prefix, model.name),
    topics: [topics.validated(prefix, model.request.source)],
    onAssigned: (assigned) => resume(context, kafka, assigned),
    maxPollRecords: MAX_POLL_RECORDS,
  });
  const context: InferenceContext = {
    project,
    model,
    name,
    codecs,
    clock,
    telemetry,
    guards: deps.guards ?? ALL_GUARDS,
    models: deps.models,
    replayGateLimitMs: deps.replayGateLimitMs ?? Number.POSITIVE_INFINITY,
    consumer,
    checkpoint: new Checkpoint({ kafka, consumer, limits: kept.limits, now: () => clock.now() }),
    vectors,
    frontiers: new Frontiers(snapshots, vectors.partitions, () => clock.now()),
    hints: new HoldHints(store, (partition) => keys.hold(prefix, model.name, partition)),
    waits: new Waits(name, clock, telemetry),
    requestCodec,
    queues: new Map(),
    sending: Promise.resolve(),
    failure: null,
    clockWent: true,
    backlogWait: null,
    ...kept,
  };
  return context;
}

/** The last answers say where to go on. */
async function resume(
  context: InferenceContext,
  kafka: Kafka,
  assigned: readonly TopicPartition[],
): Promise<Position[]> {
  await context.sending;
  context.queues = new Map();
  if (assigned.length === 0) return [];
  context.clockWent = true;
  const { codecs, model, name, project, telemetry } = context;
  const resumeOf = await readResumes(kafka, codecs.predictions, {
    predictions: topics.predictions(project.prefix, model.name),
    shadow: topics.shadow(project.prefix, model.name),
  });
  const queues = new Map<number, RequestQueue>();
  const positions = assigned.map((place): Position => {
    const from = resumeOf(place.partition);
    queues.set(place.partition, new RequestQueue(place, from));
    telemetry.note(name, 'assigned', { partition: place.partition, next: from.next });
    return from.next === 0 ? 'earliest' : from.next;
  });
  context.queues = queues;
  return positions;
}

async function queueRequests(context: InferenceContext): Promise<void> {
  const { clock, consumer, name, requestCodec, telemetry } = context;
  const waiting = [...context.queues.values()].some(({ size }) => size > 0);
  const poll = await consumer.poll(waiting ? LOOK_EVERY_MS : IDLE_POLL_MS);
  const ended = new Set(poll.atEnd.map(({ partition }) => partition));
  for (const [partition, queue] of context.queues) queue.ended = ended.has(partition);
  for (const batch of poll.batches) {
    const left = batch.highWatermark - (batch.records.at(-1)?.offset ?? 0) - 1;
    telemetry.lag(name, batch.topic, batch.partition, left);
    context.queues.get(batch.partition)?.add(batch, requestCodec, clock.now());
  }
}

/** What may go now of all queues; looks at the frontiers again where too little may. */
async function takeNext(context: InferenceContext, held: readonly RequestQueue[]): Promise<Ready[]> {
  const { clock, frontiers } = context;
  const choose = () => {
    const now = clock.now();
    return chooseReady(held, MAX_BATCH, (waiting) => mayGo(context, waiting, now));
  };
  const { ready, blocked } = choose();
  if (!blocked || ready.length >= MAX_BATCH / 2) return ready;
  await frontiers.look();
  return [...ready, ...choose().ready];
}

/**
 * Whether the record at a head may go now; notes since when it could not. Live it waits as long as the model says; in a replay until
 * its features are there; in backlog as long as a frontier that it needs moves.
 */
function mayGo(context: InferenceContext, waiting: Waiting, now: number): boolean {
  const { frontiers, guards, model, name, replayGateLimitMs, telemetry, waits } = context;
  const { backlog, replayed, request } = waiting;
  if (request === null || request.targets === null || frontiers.reached(request.targets)) {
    waiting.promised = true;
    if (waiting.blockedAt !== 0) {
      waits.endAll('features');
      context.backlogWait = null;
    }
    return true;
  }
  const { event, targets } = request;
  if (waiting.blockedAt === 0) waiting.blockedAt = now;
  const waited = now - waiting.blockedAt;
  const sentence = () =>
    `Request ${event.id} has waited ${Math.round(waited)} ms for its features (${frontiers.missing(targets)}). Is the features stream running?`;
  if (replayed) {
    if (waited > replayGateLimitMs) throw new GateTimeout(sentence());
  } else if (!(backlog && guards.backlogWaits && frontiers.moves(targets, backlogWaitsSince(context, now))))
    return waited >= model.gate.maxWait;
  else telemetry.guarded('backlogWaits');
  waits.note('features', name, sentence);
  return false;
}

/** So long after the last of it a wait of backlog is a new one, ms. */
const NEW_WAIT_AFTER_MS = 10_000;

/** Since when backlog waits without finding its features: one wait for all of it, so that a dead features stream costs it once. */
function backlogWaitsSince(context: InferenceContext, now: number): number {
  const { backlogWait: wait } = context;
  const since = wait !== null && now - wait.seenAt < NEW_WAIT_AFTER_MS ? wait.since : now;
  context.backlogWait = { since, seenAt: now };
  return since;
}

/** Records wait here only up to a bound; past it, fetching waits too. */
function balance({ consumer }: InferenceContext, held: readonly RequestQueue[]): void {
  const full = held.filter(({ size }) => size >= MAX_WAITING);
  const free = held.filter(({ size }) => size < MAX_WAITING);
  if (full.length > 0) consumer.pause(full);
  if (free.length > 0) consumer.resume(free);
}
