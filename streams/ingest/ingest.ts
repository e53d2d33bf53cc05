import type {
  Kafka,
  KafkaRecord,
  OutgoingRecord,
  PartitionBatch,
  Position,
  TopicPartition,
} from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { FRESH_PROGRESS, feeding, type Progress, watermarkOf } from '../../processors/lateness.ts';
import { partitionOf } from '../../processors/partition.ts';
import { type Segment, type SegmentPlan, workSegment } from '../../processors/segment.ts';
import { createValidator } from '../../processors/validate.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups, headers, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { SECOND } from '../../schemas/time.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import { clockRecord } from '../runtime/clock-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { liveOn, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { Announcer, type SourcePartition } from './announcer.ts';
import { encodeProgress, loadProgress, PROGRESS_TTL_MS, progressKey } from './progress.ts';

export interface IngestDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Bounds a flush, and with it a block: some 60 kB for a view that gets every event. */
const MAX_POLL_RECORDS = 1_000;
/** A busy partition is flushed at most this often, so that the cost of a Kafka record is shared. */
const LINGER_MS = 5;
const IDLE_POLL_MS = 200;

interface Held extends SourcePartition {
  readonly plan: SegmentPlan;
  readonly topic: string;
  /** The progress as Redis has it, byte for byte. */
  expected: Uint8Array | null;
  lastRecordAt: number;
}

/** Raw topics -> validated topics, view topics, dead letters. */
export function createIngest(deps: IngestDeps): Stream {
  const { project, kafka, store, codecs, clock, telemetry } = deps;
  const { prefix } = project;
  const plans = new Map<string, SegmentPlan>(
    project.sources.map((source) => [
      topics.raw(prefix, source.name),
      {
        source,
        views: project.views.filter((view) => view.sources.includes(source.name)),
        validate: createValidator(source),
        partitionOf,
      },
    ]),
  );

  async function life(signal: AbortSignal, healthy: () => void): Promise<void> {
    const checkpoint = new Checkpoint(kafka, store);
    const announcer = new Announcer(project, codecs);
    let held = new Map<string, Held>();

    async function onAssigned(assigned: readonly TopicPartition[]): Promise<Position[]> {
      const known = await loadProgress(deps, assigned);
      const next = new Map<string, Held>();
      const positions: Position[] = [];
      for (const [i, { topic, partition }] of assigned.entries()) {
        const plan = planOf(topic);
        const { progress, bytes: expected } = known[i] ?? { progress: FRESH_PROGRESS, bytes: null };
        const partitions = plan.source.partitions;
        next.set(`${topic}:${partition}`, {
          plan,
          topic,
          partition,
          partitions,
          progress: feeding(
            progress,
            plan.views.map(({ id }) => id),
          ),
          expected,
          source: plan.source,
          idle: false,
          announce: true,
          lastRecordAt: clock.now(),
        });
        positions.push(progress.next === 0 ? 'earliest' : progress.next);
        telemetry.note('ingest', 'assigned', { topic, partition, next: progress.next });
      }
      held = next;
      return positions;
    }

    const consumer = await kafka.consumer({
      group: groups.ingest(prefix),
      topics: [...plans.keys()],
      onAssigned,
      maxPollRecords: MAX_POLL_RECORDS,
    });

    /** Reads the progress again and goes where it says. */
    async function reread(state: Held): Promise<void> {
      const [known] = await loadProgress(deps, [state]);
      if (known === undefined) return;
      state.expected = known.bytes;
      state.progress = feeding(
        known.progress,
        state.plan.views.map(({ id }) => id),
      );
      state.announce = true;
      await consumer.seek({ topic: state.topic, partition: state.partition }, state.progress.next);
    }

    async function flush(
      segments: ReadonlyMap<Held, Segment<KafkaRecord>>,
      all: Iterable<Held>,
    ): Promise<void> {
      const started = performance.now();
      const now = clock.now();
      const sections = announcer.sections(all, segments, now);
      const first: OutgoingRecord[] = announcer.blocks(sections);
      const clocks: OutgoingRecord[] = [];
      for (const [state, segment] of segments) outputsOf(state, segment, first, clocks);
      const encoded = performance.now();
      await checkpoint.send(first);
      announcer.sent(sections, now);
      await checkpoint.send(clocks);
      const acknowledged = performance.now();

      const states = [...segments.keys()];
      const results = await checkpoint.commit(
        states.map((state) => ({
          metaKey: progressKey(prefix, state.source.name, state.partition),
          expected: state.expected,
          next: encodeProgress(segments.get(state)?.progress ?? state.progress),
          sets: [],
          appends: [],
          deletes: [],
          logTtlMs: PROGRESS_TTL_MS,
          metaTtlMs: PROGRESS_TTL_MS,
        })),
      );
      const offsets: Array<TopicPartition & { offset: number }> = [];
      for (const [i, state] of states.entries()) {
        const segment = segments.get(state);
        if (segment === undefined) continue;
        if (results[i]?.status !== 'committed') {
          await reread(state);
          continue;
        }
        state.progress = segment.progress;
        state.expected = encodeProgress(segment.progress);
        offsets.push({ topic: state.topic, partition: state.partition, offset: segment.progress.next });
        report(state, segment);
      }
      const records =
        offsets.length === 0 ? 0 : [...segments.values()].reduce((n, s) => n + s.to - s.from + 1, 0);
      telemetry.step('ingest', 'encode', encoded - started, records);
      telemetry.step('ingest', 'send', acknowledged - encoded, records);
      telemetry.step('ingest', 'commit', performance.now() - acknowledged, records);
      checkpoint.report(consumer, offsets, clock.now());
    }

    function outputsOf(
      state: Held,
      segment: Segment<KafkaRecord>,
      first: OutgoingRecord[],
      clocks: OutgoingRecord[],
    ): void {
      const { source, partition } = state;
      const validated = codecs.validated(source.name);
      const topic = topics.validated(prefix, source.name);
      for (const accepted of segment.accepted)
        first.push({
          topic,
          partition,
          key: keyBytes(accepted.event[source.key]),
          value: validated.encode(accepted),
        });
      for (const { raw, rejected, event } of segment.refused)
        first.push({
          topic: topics.deadLetters(prefix, source.name),
          partition,
          key: raw.key,
          value: codecs.deadLetters.encode({
            format: 1,
            stage: rejected.stage,
            code: rejected.code,
            detail: rejected.detail,
            sourceTopic: raw.topic,
            sourcePartition: raw.partition,
            sourceOffset: raw.offset,
            appendTime: raw.appendTime,
            eventId: event?.id ?? null,
            eventTime: event?.time ?? null,
            writer: 'ingest',
            key: raw.key === null ? null : Buffer.from(raw.key),
            value: raw.value === null ? null : Buffer.from(raw.value),
          }),
        });
      if (segment.clock !== null)
        clocks.push(
          clockRecord(topic, partition, segment.clock, {
            [headers.sourceOffset]: String(segment.clock.offset),
          }),
        );
    }

    function report(state: Held, segment: Segment<KafkaRecord>): void {
      for (const { rejected } of segment.refused) telemetry.refused('ingest', rejected.code, 1);
      const watermark = watermarkOf(segment.progress.runningMax, state.source.outOfOrderness);
      if (watermark !== null)
        telemetry.watermark(state.source.name, state.partition, clock.now() - watermark);
    }

    /** Works one poll: segment after segment, all partitions of a round in one flush. */
    async function work(
      batches: readonly PartitionBatch[],
      states: ReadonlyMap<string, Held>,
    ): Promise<void> {
      const queues: Array<{ state: Held; records: ReturnType<typeof decodeAll>; generation: Progress }> = [];
      for (const batch of batches) {
        const state = states.get(`${batch.topic}:${batch.partition}`);
        if (state === undefined) continue;
        const decoder = codecs.raw(state.source.name);
        const fresh = batch.records.filter((record) => record.offset >= state.progress.next);
        if (fresh.length === 0) continue;
        await decoder.prepare(fresh);
        telemetry.lag(
          'ingest',
          batch.topic,
          batch.partition,
          batch.highWatermark - (fresh.at(-1)?.offset ?? 0) - 1,
        );
        queues.push({ state, records: decodeAll(decoder, fresh), generation: state.progress });
        if (state.idle) state.announce = true;
        state.idle = false;
        state.lastRecordAt = clock.now();
      }
      while (queues.length > 0) {
        const started = performance.now();
        const segments = new Map<Held, Segment<KafkaRecord>>();
        for (const queue of queues) {
          const { segment, taken } = workSegment(queue.state.plan, queue.state.progress, queue.records);
          queue.records = queue.records.slice(taken);
          queue.generation = segment.progress;
          segments.set(queue.state, segment);
        }
        telemetry.step('ingest', 'work', performance.now() - started, segments.size);
        await flush(segments, states.values());
        // A partition whose commit met a conflict has moved elsewhere: the rest of its batch is stale.
        for (let i = queues.length - 1; i >= 0; i -= 1) {
          const queue = queues[i];
          if (queue === undefined || queue.records.length === 0 || queue.state.progress !== queue.generation)
            queues.splice(i, 1);
        }
      }
    }

    function noticeIdle(atEnd: readonly TopicPartition[], states: ReadonlyMap<string, Held>): void {
      const now = clock.now();
      for (const { topic, partition } of atEnd) {
        const state = states.get(`${topic}:${partition}`);
        if (state === undefined || state.idle || state.progress.clockOpen) continue;
        if (now - state.lastRecordAt < Math.max(SECOND, state.source.outOfOrderness)) continue;
        state.idle = true;
        state.announce = true;
      }
    }

    let lastFlush = 0;
    try {
      while (!signal.aborted) {
        const since = clock.now() - lastFlush;
        if (since < LINGER_MS) await clock.sleep(LINGER_MS - since);
        const poll = await consumer.poll(announcer.pending ? LINGER_MS : IDLE_POLL_MS);
        const states = held;
        for (const { topic, partition, start } of poll.cut)
          telemetry.note('ingest', 'raw log cut', { topic, partition, start });
        for (const { topic, partition, start } of poll.cut) await consumer.seek({ topic, partition }, start);
        if (poll.batches.length > 0) {
          lastFlush = clock.now();
          await work(poll.batches, states);
        }
        noticeIdle(poll.atEnd, states);
        if (announcer.due(states.values(), clock.now())) await flush(new Map(), states.values());
        healthy();
      }
    } finally {
      await checkpoint.close(consumer);
    }
  }

  function planOf(topic: string): SegmentPlan {
    const plan = plans.get(topic);
    if (plan === undefined)
      throw new Error(`ingest was assigned ${topic}, which is no raw topic of project ${project.name}`);
    return plan;
  }

  return {
    name: 'ingest',
    run: (signal) => liveOn('ingest', clock, telemetry, signal, (healthy) => life(signal, healthy)),
  };
}

function decodeAll(decoder: ReturnType<Codecs['raw']>, records: readonly KafkaRecord[]) {
  return records.map((record) => decoder.decode(record));
}

function keyBytes(value: unknown): Uint8Array | null {
  return value === null || value === undefined ? null : Buffer.from(String(value));
}
