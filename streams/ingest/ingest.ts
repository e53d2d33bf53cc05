import type { Kafka, Poll, Position, TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Models } from '../inference/predict.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { ALL_GUARDS, type Guards } from '../runtime/guards.ts';
import { withPartitions } from '../runtime/partitions.ts';
import { RecordLimits } from '../runtime/record-limits.ts';
import { restartOnFailure, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { Waits } from '../runtime/waits.ts';
import { limitsOf, spreads, tellBacklog } from './alignment.ts';
import { Announcer } from './announcer.ts';
import type { IngestContext } from './context.ts';
import { writtenTopics } from './event-size.ts';
import { flushMarkers, flushWork, restartMoved } from './flush.ts';
import { askClock, fallIdle, moveOn, untilAwake, wake } from './idleness.ts';
import { isAlone, Neighbours } from './neighbours.ts';
import { beginLocally, localModels, openLocal } from './open-local.ts';
import { lookAtPauses, pauseSources, workWithin } from './pausing.ts';
import { queueBatch } from './queue-batch.ts';
import { RawLogs } from './raw-logs.ts';
import type { RawPartition } from './raw-partition.ts';
import { chooseRecords } from './record-queue.ts';
import { RejectCaps } from './reject-cap.ts';
import { plansOf, restartPartitions, takeOver } from './take-over.ts';
import { heedCuts, presentTopics, watchTopics, withoutMissing } from './watch-topics.ts';

export interface IngestDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly guards?: Guards;
  /** Models that are scored where their requests are ingested, by name: those that read local views alone. */
  readonly models?: ReadonlyMap<string, Models>;
}

/** Bounds a flush, and with it a block: some 60 kB for a view that gets every event. */
const MAX_FLUSH_RECORDS = 1_000;
/** The same where no partition waits for another: what a flush costs by itself is shared by more. */
const MAX_FLUSH_RECORDS_ALONE = 4_000;
/** Queued records of a partition above which no more are taken from the consumer. */
const MAX_QUEUED = 2_000;
const MAX_QUEUED_BYTES = 16_777_216;
/** A busy partition is flushed at most this often, so that the cost of a Kafka record is shared. */
const LINGER_MS = 5;
const IDLE_POLL_MS = 200;
/** How often the store is compared with what this process believes, ms. */
const COMPARE_EVERY_MS = 1_000;

/** Raw topics -> validated topics, view topics, dead letters. */
export function createIngest(deps: IngestDeps): Stream {
  const { clock, telemetry } = deps;
  const kept = { limits: new RecordLimits(), caps: new RejectCaps(), mismatched: new Set<number>() };
  return {
    name: 'ingest',
    run: (signal, healthy) =>
      restartOnFailure(
        'ingest',
        clock,
        telemetry,
        signal,
        (done) =>
          runLoop(deps, kept, signal, done).catch(async (error: unknown) => {
            throw await withoutMissing(error, deps.kafka, [...plansOf(deps.project).keys()]);
          }),
        healthy,
      ),
  };
}

/** What a stream of ingest knows beyond its restarts. */
type Kept = Pick<IngestContext, 'limits' | 'caps'> & { readonly mismatched: Set<number> };

async function runLoop(
  deps: IngestDeps,
  kept: Kept,
  signal: AbortSignal,
  healthy: () => void,
): Promise<void> {
  await kept.limits.read(deps.kafka, writtenTopics(deps.project, localModels(deps)));
  const context = await openContext(deps, kept, signal);
  const spreadOf = spreads(context.project);
  let lastWork = 0;
  let comparedAt = 0;
  try {
    while (!signal.aborted) {
      const poll = await pollNext(context, lastWork);
      await queueRecords(context, poll);
      await wake(context, unreadIdle(context));
      while (await workRound(context, spreadOf)) lastWork = deps.clock.now();
      const quiet = quietOf(context, poll.atEnd);
      await fallIdle(context, quiet);
      await askClock(context, quiet);
      await moveOn(context, quiet);
      await tellBacklog(context);
      if (context.announcer.due(context.owned.values(), deps.clock.now())) await flushMarkers(context);
      if (deps.clock.now() - comparedAt >= COMPARE_EVERY_MS) {
        comparedAt = deps.clock.now();
        await compare(context);
      }
      context.checkpoint.report();
      healthy();
    }
  } finally {
    await context.checkpoint.close();
  }
}

async function openContext(
  deps: IngestDeps,
  { limits, caps, mismatched }: Kept,
  signal: AbortSignal,
): Promise<IngestContext> {
  const { kafka, store, codecs, clock, telemetry, guards = ALL_GUARDS } = deps;
  const project = await withPartitions(deps.project, kafka);
  const plans = plansOf(project);
  const { present, missing } = await presentTopics(deps, [...plans.keys()]);
  const consumer = await kafka.consumer({
    group: groups.ingest(project.prefix),
    topics: present,
    onAssigned: async (assigned) => {
      context.owned = await takeOver(deps, plans, rawLogs, assigned);
      await beginLocally(context, [...context.owned.values()]);
      context.lookedBesideAt = Number.NEGATIVE_INFINITY;
      await lookAtPauses(context);
      await watchTopics(context);
      return [...context.owned.values()].map((one): Position => {
        if (one.stopped !== null) return 'latest';
        return one.progress.next === 0 ? 'earliest' : rawLogs.positionOf(one, one.progress.next);
      });
    },
    maxPollRecords: mostRecords(project.sources.every(({ name }) => isAlone(project, name))),
    // A batch of a producer that nobody can read is a dead letter.
    unreadable: 'hand_out',
    missing: 'wait',
  });
  const rawLogs = new RawLogs(consumer);
  const context: IngestContext = {
    project,
    declared: deps.project,
    kafka,
    store,
    codecs,
    clock,
    telemetry,
    guards,
    signal,
    consumer: rawLogs,
    rawLogs,
    missing,
    checkpoint: new Checkpoint({ kafka, store, consumer: rawLogs, limits, now: () => clock.now() }),
    limits,
    caps,
    paused: new Map(),
    announcer: new Announcer(project, codecs, guards),
    neighbours: new Neighbours(project, { store, clock, rawLogs }),
    waits: new Waits('ingest', clock, telemetry),
    owned: new Map(),
    brokerTime: Number.NEGATIVE_INFINITY,
    brokerTimeAt: Number.NEGATIVE_INFINITY,
    lookedBesideAt: Number.NEGATIVE_INFINITY,
    local: openLocal({ ...deps, project, guards, limits, mismatched }),
    restart: (partitions) =>
      restartPartitions(deps, rawLogs, partitions).then(() => beginLocally(context, partitions)),
  };
  return context;
}

const mostRecords = (alone: boolean) => (alone ? MAX_FLUSH_RECORDS_ALONE : MAX_FLUSH_RECORDS);

/** Waits for records, for as long as nothing else is due. */
async function pollNext(context: IngestContext, lastWork: number): Promise<Poll> {
  const { announcer, clock, consumer, owned } = context;
  const since = clock.now() - lastWork;
  if (since < LINGER_MS) await clock.sleep(LINGER_MS - since);
  const full: RawPartition[] = [];
  const free: RawPartition[] = [];
  for (const one of owned.values()) {
    const isFull = one.queue.size >= MAX_QUEUED || one.queue.bytes >= MAX_QUEUED_BYTES;
    (isFull || one.stopped !== null || one.schemaWait.pausedAt(clock.now()) ? full : free).push(one);
  }
  if (full.length > 0) consumer.pause(full);
  consumer.resume(free);
  const busy = announcer.pending || [...owned.values()].some(({ queue }) => queue.size > 0);
  const poll = await consumer.poll(busy ? LINGER_MS : IDLE_POLL_MS);
  await heedCuts(context, poll);
  return poll;
}

/** Decodes what a poll brought into the queues of its partitions. */
async function queueRecords(context: IngestContext, poll: Poll): Promise<void> {
  const ended = new Set(poll.atEnd.map(({ topic, partition }) => `${topic}:${partition}`));
  for (const [place, one] of context.owned) if (ended.has(place)) one.more = false;
  for (const batch of poll.batches) {
    const one = context.owned.get(`${batch.topic}:${batch.partition}`);
    if (one !== undefined && one.stopped === null) await queueBatch(context, one, batch);
  }
}

function unreadIdle({ owned }: IngestContext): RawPartition[] {
  return [...owned.values()].filter(({ progress, queue }) => progress.idle && queue.size > 0);
}

/** Works what may go next of all queues, in one flush. False where nothing may, or where the partitions have moved. */
async function workRound(context: IngestContext, spreadOf: ReadonlyMap<string, number>): Promise<boolean> {
  const { consumer, signal, telemetry } = context;
  const queues = await limitsOf(context, spreadOf);
  if (queues.length === 0 || consumer.moved() || signal.aborted) return false;
  const alone = queues.every(({ of }) => context.neighbours.alone(of.source.name));
  const chosen = chooseRecords(queues, mostRecords(alone));
  if (chosen.size < queues.length) telemetry.guarded('align');
  if (chosen.size === 0) return false;
  const started = performance.now();
  const { work, over } = workWithin(context, chosen);
  const records = [...work.values()].reduce((sum, { taken }) => sum + taken, 0);
  telemetry.step('ingest', 'work', performance.now() - started, records);
  if (!(await untilAwake(context, new Set([...chosen.keys()].map(({ source }) => source.name)))))
    return false;
  if (work.size > 0) await flushWork(context, work);
  if (over.size === 0) return true;
  await pauseSources(context, over);
  return false;
}

/** Partitions with nothing to read, as the last fetch said. */
function quietOf({ owned }: IngestContext, atEnd: readonly TopicPartition[]): RawPartition[] {
  return atEnd.flatMap(({ topic, partition }) => {
    const one = owned.get(`${topic}:${partition}`);
    return one === undefined || one.stopped !== null || one.queue.size > 0 ? [] : [one];
  });
}

/** A store that was rolled back or lost, and a partition that was taken over, show only to who looks. */
async function compare(context: IngestContext): Promise<void> {
  const { neighbours, owned } = context;
  const sources = new Set([...owned.values()].map(({ source }) => source.name));
  await restartMoved(context, await neighbours.look(sources));
  await lookAtPauses(context);
  await watchTopics(context);
  await context.local?.compare();
}
