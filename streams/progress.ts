import type { Kafka, KafkaRecord, TopicPartition } from '../infrastructure/kafka/port.ts';
import { FRESH_PROGRESS, type Progress } from '../processors/lateness.ts';
import { keys, topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import type { Section } from '../schemas/records.ts';
import { MillraceError } from '../schemas/refusal.ts';
import type { Codecs } from './codecs.ts';
import { readTails } from './tail.ts';

/** Ingest's progress is gone from the online store and cannot be had back from the view topics. */
export class ProgressLost extends MillraceError {
  readonly code = 'progress_lost';
  readonly retriable = false;
}

interface RecoveryDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
}

const FORMAT = 1;
/** How far back from the end of a view partition its headers are looked for. */
const LOOK_BACK = 2_000;

export const progressKey = keys.ingestProgress;

export function encodeProgress(progress: Progress): Uint8Array {
  const { next, runningMax, byClock, clockOpen } = progress;
  return Buffer.from(JSON.stringify({ format: FORMAT, next, runningMax, byClock, clockOpen }));
}

export function decodeProgress(bytes: Uint8Array): Progress {
  const { format, ...progress } = JSON.parse(Buffer.from(bytes).toString()) as Progress & {
    format?: unknown;
  };
  if (format !== FORMAT)
    throw new ProgressLost(
      `Ingest's progress has format ${String(format)}; this version of Millrace reads format ${FORMAT}.`,
    );
  return progress;
}

/**
 * What ingest can know of source partitions when the online store knows nothing: from the last headers in
 * the view topics, the section with the smallest last offset over all view partitions (repeats are skipped
 * by marks), and the running maximum after it. Where no view partition has ever heard of anything, the
 * partition is new. Throws ProgressLost where the headers are not enough; never starts again in silence.
 */
export async function recoverProgress(
  deps: RecoveryDeps,
  lost: readonly TopicPartition[],
): Promise<Progress[]> {
  const { project, kafka, codecs } = deps;
  const tails = new Map<string, KafkaRecord[][]>();
  for (const view of project.views) {
    const topic = topics.view(project.prefix, view.id);
    tails.set(topic, await readTails(kafka, topic, LOOK_BACK));
  }
  return lost.map(({ topic, partition }) => {
    const source = project.sources.find(({ name }) => topics.raw(project.prefix, name) === topic);
    const last = project.views
      .filter((view) => source !== undefined && view.sources.includes(source.name))
      .flatMap((view) => tails.get(topics.view(project.prefix, view.id)) ?? [])
      .map((tail) => lastSection(tail, codecs, topic, partition));
    const heard = last.filter((section) => section !== null);
    const [first, ...rest] = heard;
    if (first === undefined) return FRESH_PROGRESS;
    if (heard.length < last.length)
      throw new ProgressLost(
        `The progress of ${topic} partition ${partition} is gone from the online store, and only ${heard.length} of ${last.length} view partitions still tell of it. Restore the store from a backup, or start the project under a new prefix and backfill it.`,
      );
    const { to, runningMax, byClock, clockOpen } = rest.reduce(
      (least, section) => (section.to < least.to ? section : least),
      first,
    );
    return { next: to + 1, runningMax, byClock, clockOpen };
  });
}

function lastSection(
  tail: readonly KafkaRecord[],
  codecs: Codecs,
  topic: string,
  partition: number,
): Section | null {
  for (let i = tail.length - 1; i >= 0; i -= 1) {
    const value = tail[i]?.value;
    if (value === null || value === undefined) continue;
    const { sections } = codecs.blocks.decode(value);
    for (let j = sections.length - 1; j >= 0; j -= 1) {
      const section = sections[j];
      if (
        section !== undefined &&
        section.history === null &&
        section.topic === topic &&
        section.partition === partition
      )
        return section;
    }
  }
  return null;
}
