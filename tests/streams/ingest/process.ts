import type { Consumer } from '../../../infrastructure/kafka/port.ts';
import { feeding, type Progress } from '../../../processors/lateness.ts';
import { type SegmentPlan, workSegment } from '../../../processors/segment.ts';
import { createValidator } from '../../../processors/validate.ts';
import { groups } from '../../../schemas/names.ts';
import { Announcer } from '../../../streams/ingest/announcer.ts';
import type { IngestContext } from '../../../streams/ingest/context.ts';
import { flushWork } from '../../../streams/ingest/flush.ts';
import { Neighbours } from '../../../streams/ingest/neighbours.ts';
import { decodeProgress, progressKey, takeProgress } from '../../../streams/ingest/progress.ts';
import { RawLogs } from '../../../streams/ingest/raw-logs.ts';
import { RawPartition } from '../../../streams/ingest/raw-partition.ts';
import { RejectCaps } from '../../../streams/ingest/reject-cap.ts';
import { Checkpoint } from '../../../streams/runtime/checkpoint.ts';
import { ALL_GUARDS, type Guards } from '../../../streams/runtime/guards.ts';
import { RecordLimits } from '../../../streams/runtime/record-limits.ts';
import { Waits } from '../../../streams/runtime/waits.ts';
import type { Plane } from '../plane.ts';
import { listening, type Told } from '../telemetry.ts';

/** Names what a process is about to do, or has just done: a place for a test to pause it. */
export type Hook = (moment: string) => Promise<void>;

/** A process of ingest whose steps a test performs one by one. */
export interface IngestProcess {
  readonly context: IngestContext;
  readonly telemetry: Told;
  readonly consumer: Consumer;
  own(partition: number): RawPartition;
  /** Fetches into the queues, as the stream's loop does. */
  poll(): Promise<void>;
  /** Works and flushes all that is queued. */
  work(): Promise<void>;
  /** Our partitions with nothing queued. */
  quiet(): RawPartition[];
  stop(): void;
}

export interface IngestProcessOptions {
  readonly guards?: Partial<Guards>;
  readonly hook?: Hook;
}

/** How records of the plane's source are worked. */
export function planOf({ project, source }: Plane): SegmentPlan {
  return { source, views: project.views, validate: createValidator(source) };
}

export async function ingestProcess(
  plane: Plane,
  { guards, hook = async () => {} }: IngestProcessOptions = {},
): Promise<IngestProcess> {
  const { project, source, codecs, clock, store } = plane;
  const plan = planOf(plane);
  const around = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    await hook(`before ${what}`);
    const result = await act();
    await hook(`after ${what}`);
    return result;
  };
  const views = project.views.map(({ id }) => id);
  const deps = { project, kafka: plane.kafka, store, codecs, clock };
  const kafka = plane.broker.kafka();
  const consumer = await kafka.consumer({
    group: groups.ingest(project.prefix),
    topics: [plane.raw],
    maxPollRecords: 1_000,
    async onAssigned(assigned) {
      const known = await takeProgress(deps, assigned);
      const owned = assigned.map((place, i) => {
        const { progress, bytes } = known[i] as (typeof known)[number];
        return new RawPartition(plan, place, { progress: feeding(progress, views), bytes }, clock.now());
      });
      context.owned = new Map(owned.map((one) => [`${one.topic}:${one.partition}`, one]));
      return owned.map(({ progress }) => progress.next);
    },
  });
  const watched: Consumer = {
    poll: (maxWaitMs) => consumer.poll(maxWaitMs),
    seek: (place, offset) => consumer.seek(place, offset),
    pause: (places) => consumer.pause(places),
    resume: (places) => consumer.resume(places),
    commit: (offsets) => consumer.commit(offsets),
    assignment: () => consumer.assignment(),
    moved: () => consumer.moved(),
    atEnd: (places) => around('asking whether anything is unread', () => consumer.atEnd(places)),
    ends: (places) => around('asking whether anything is unread', () => consumer.ends(places)),
    facts: () => consumer.facts(),
    close: () => consumer.close(),
  };
  const limits = new RecordLimits();
  const telemetry = listening();
  const abort = new AbortController();
  const context: IngestContext = {
    project,
    declared: project,
    kafka,
    store,
    codecs,
    clock,
    telemetry,
    guards: { ...ALL_GUARDS, ...guards },
    signal: abort.signal,
    consumer: watched,
    rawLogs: new RawLogs(watched),
    missing: [],
    checkpoint: new Checkpoint({
      kafka: {
        async producer() {
          const producer = await kafka.producer();
          return {
            send: (records) => around('sending', () => producer.send(records)),
            place: (records) => around('sending', () => producer.place(records)),
            close: () => producer.close(),
          };
        },
      },
      store: {
        commit: (commits) => around('telling the store', () => store.commit(commits)),
      },
      consumer: watched,
      limits,
      now: () => clock.now(),
    }),
    limits,
    local: null,
    caps: new RejectCaps(),
    paused: new Map(),
    announcer: new Announcer(project, codecs),
    neighbours: new Neighbours(project, { store, clock }),
    waits: new Waits('ingest', clock, telemetry),
    owned: new Map(),
    brokerTime: Number.NEGATIVE_INFINITY,
    brokerTimeAt: Number.NEGATIVE_INFINITY,
    lookedBesideAt: Number.NEGATIVE_INFINITY,
    async restart(partitions) {
      const known = await takeProgress(deps, partitions);
      for (const [i, one] of partitions.entries()) {
        const { progress, bytes } = known[i] as (typeof known)[number];
        one.restart({ progress: feeding(progress, views), bytes }, clock.now());
        await consumer.seek(one, one.progress.next);
      }
    },
  };
  const process: IngestProcess = {
    context,
    telemetry,
    consumer,
    own(partition) {
      const one = context.owned.get(`${plane.raw}:${partition}`);
      if (one === undefined) throw new Error(`this process does not own partition ${partition}`);
      return one;
    },
    async poll() {
      for (const { partition, records } of (await consumer.poll(0)).batches) {
        const one = process.own(partition);
        const decoder = codecs.raw(source.name);
        await decoder.prepare(records);
        one.queue.add(records.map((record) => decoder.decode(record)));
        one.lastRecordAt = clock.now();
      }
    },
    async work() {
      const busy = [...context.owned.values()].filter(({ queue }) => queue.size > 0);
      await flushWork(
        context,
        new Map(
          busy.map((one) => [one, workSegment(one.plan, one.progress, one.queue.first(one.queue.size))]),
        ),
      );
    },
    quiet: () => [...context.owned.values()].filter(({ queue }) => queue.size === 0),
    stop: () => abort.abort(),
  };
  await process.poll();
  return process;
}

/** The progress of a raw partition as the online store has it. */
export async function storedProgress(
  { project, source, store }: Plane,
  partition: number,
): Promise<Progress> {
  const [[bytes = null] = []] = await store.read([[progressKey(project.prefix, source.name, partition)]]);
  if (bytes === null) throw new Error(`the store has no progress of partition ${partition}`);
  return decodeProgress(bytes);
}
