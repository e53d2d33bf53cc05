import type { KafkaRecord, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { Progress } from '../../processors/lateness.ts';
import type { Segment } from '../../processors/segment.ts';
import { headers, topics } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { clockRecord } from '../runtime/clock-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { deadLetterRecord, letterHeaders } from '../runtime/dead-letter-record.ts';
import type { Sections } from './announcer.ts';
import type { IngestContext } from './context.ts';
import { answerLocally } from './local-answers.ts';
import type { Neighbour } from './neighbours.ts';
import { encodeProgress, progressCommit, progressKey } from './progress.ts';
import type { RawPartition } from './raw-partition.ts';
import type { Worked } from './reject-cap.ts';

/** Sends what partitions gave, with the markers that are due; then sets their progress. */
export async function flushWork(
  context: IngestContext,
  work: ReadonlyMap<RawPartition, Worked>,
): Promise<void> {
  const { announcer, clock, codecs, project, owned, telemetry } = context;
  const started = performance.now();
  const now = clock.now();
  const segments = new Map([...work].map(([partition, { segment }]) => [partition, segment] as const));
  const sections = announcer.sections(owned.values(), now, segments);
  const clocks: OutgoingRecord[] = [];
  const outputs: OutgoingRecord[] = announcer.blocks(sections);
  for (const [{ source, partition }, segment] of segments) {
    addEvents(outputs, codecs, project.prefix, source, partition, segment);
    addRefusals(outputs, context, source, partition, segment);
    if (segment.clock !== null)
      clocks.push(
        clockRecord(topics.validated(project.prefix, source.name), partition, segment.clock, {
          [headers.sourceOffset]: String(segment.clock.offset),
        }),
      );
  }
  const answered = await answerLocally(context, sections, segments);
  outputs.push(...answered.before);
  // Answers wait for the shadow scores of their requests alone.
  const together = answered.before.length === 0;
  if (together) for (const record of answered.predictions) outputs.push(record);
  const stages = [outputs, together ? [] : answered.predictions, [...clocks, ...answered.clocks]];
  const encodeMs = performance.now() - started;
  const next = new Map(
    [...work].map(([partition, { segment, taken }]) => [
      partition,
      {
        ...segment.progress,
        backlogAt: partition.backlogAt(now, segment.progress, taken),
        remembered: partition.memory?.start(partition.progress.next) ?? null,
      },
    ]),
  );
  const { set, sendMs, commitMs } = await commit(context, sections, stages, next);
  await answered.settle(set);
  let records = 0;
  for (const partition of set) {
    const { segment, taken } = work.get(partition) as Worked;
    partition.queue.drop(taken);
    records += taken;
    report(context, partition, segment);
  }
  telemetry.step('ingest', 'encode', encodeMs, records);
  telemetry.step('ingest', 'send', sendMs, records);
  telemetry.step('ingest', 'commit', commitMs, records);
}

/** Sends the markers that are due, and no more. */
export async function flushMarkers(context: IngestContext): Promise<void> {
  const { announcer, clock, owned } = context;
  const sections = announcer.sections(owned.values(), clock.now());
  await commit(context, sections, [announcer.blocks(sections)], new Map());
}

/**
 * Sends sections and other outputs, then sets the progress of partitions. Those whose progress somebody else had set are begun
 * anew. Answers with the partitions that were set.
 */
export async function commit(
  context: IngestContext,
  sections: Sections,
  outputs: ReadonlyArray<readonly OutgoingRecord[]>,
  next: ReadonlyMap<RawPartition, Progress>,
): Promise<{ readonly set: readonly RawPartition[]; readonly sendMs: number; readonly commitMs: number }> {
  const { announcer, checkpoint, clock, project } = context;
  const partitions = [...next.keys()];
  const bytes = [...next.values()].map(encodeProgress);
  const { results, appendTime, sendMs, commitMs } = await checkpoint.flush({
    outputs,
    state: partitions.map(({ source, partition, expected }, i) =>
      progressCommit(progressKey(project.prefix, source.name, partition), expected, bytes[i] as Uint8Array),
    ),
    offsets: [...next].map(([{ topic, partition }, progress]) => ({
      topic,
      partition,
      offset: progress.next,
    })),
  });
  announcer.sent(sections, clock.now());
  if (appendTime !== null && appendTime > context.brokerTime) {
    context.brokerTime = appendTime;
    context.brokerTimeAt = clock.now();
  }
  const set: RawPartition[] = [];
  const lost: RawPartition[] = [];
  for (const [i, partition] of partitions.entries()) {
    if (results[i]?.status !== 'committed') {
      lost.push(partition);
      continue;
    }
    partition.progress = next.get(partition) as Progress;
    partition.expected = bytes[i] as Uint8Array;
    set.push(partition);
  }
  if (lost.length > 0) await context.restart(lost);
  return { set, sendMs, commitMs };
}

/** Begins our partitions anew among neighbours just read that the store has otherwise than we believe. True where there were any. */
export async function restartMoved(
  { owned, restart }: IngestContext,
  found: readonly Neighbour[],
): Promise<boolean> {
  const moved = found.flatMap(({ topic, partition, bytes }) => {
    const own = owned.get(`${topic}:${partition}`);
    return own !== undefined && (bytes === null || Buffer.compare(bytes, own.expected) !== 0) ? [own] : [];
  });
  if (moved.length > 0) await restart(moved);
  return moved.length > 0;
}

function addEvents(
  outputs: OutgoingRecord[],
  codecs: Codecs,
  prefix: string,
  source: Source,
  partition: number,
  { accepted }: Segment<KafkaRecord>,
): void {
  const codec = codecs.validated(source.name);
  const topic = topics.validated(prefix, source.name);
  for (const one of accepted)
    outputs.push({ topic, partition, key: keyBytes(one.event[source.key]), value: codec.encode(one) });
}

function addRefusals(
  outputs: OutgoingRecord[],
  { codecs, limits, project: { prefix } }: IngestContext,
  source: Source,
  partition: number,
  { refused }: Segment<KafkaRecord>,
): void {
  const place = { topic: topics.deadLetters(prefix, source.name), partition, keyed: true };
  for (const { raw, rejected, event, arrivedAt } of refused)
    outputs.push(
      deadLetterRecord(codecs, limits, place, {
        stage: rejected.stage,
        code: rejected.code,
        detail: rejected.detail,
        sourceTopic: raw.topic,
        sourcePartition: raw.partition,
        sourceOffset: raw.offset,
        appendTime: raw.appendTime,
        arrivedAt,
        eventId: event?.id ?? null,
        eventTime: event?.time ?? null,
        writer: 'ingest',
        key: raw.key,
        value: raw.value,
        valueBytes: raw.unreadable?.bytes ?? null,
        valueSha256: raw.unreadable?.sha256 ?? null,
        headers: letterHeaders(raw),
      }),
    );
}

function report(
  { telemetry, clock }: IngestContext,
  partition: RawPartition,
  segment: Segment<KafkaRecord>,
): void {
  for (const { rejected } of segment.refused) telemetry.refused('ingest', rejected.code, 1);
  const { memory, source } = partition;
  if (memory !== null) {
    const forgotten = memory.keep();
    telemetry.remembered(source.name, partition.partition, memory.size, forgotten);
  }
  const watermark = partition.watermark();
  if (watermark !== null)
    telemetry.watermark(partition.source.name, partition.partition, clock.now() - watermark);
}

function keyBytes(value: unknown): Uint8Array | null {
  return value === null || value === undefined ? null : Buffer.from(String(value));
}
