import type { Kafka, KafkaRecord, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { FRESH_PROGRESS, PROMPT_AFTER, type Progress } from '../../processors/lateness.ts';
import { isForeign, rawTopic, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { Section } from '../../schemas/records/block.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { sourceOffsetOf } from '../local/position.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { readTails } from '../runtime/tail.ts';
import { boundsOf, startOf } from '../runtime/topic.ts';

/** Ingest's progress is gone from the online store and cannot be had back from the view topics. */
export class ProgressLost extends MillraceError {
  readonly code = 'progress_lost';
  readonly retriable = false;
  override readonly final = true;
}

export interface RecoverDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
}

/** How far back from the end of a view partition its headers are looked for. */
const LOOK_BACK = 2_000;

/**
 * What can be known of source partitions when the online store knows nothing: the last section in the view
 * topics that every view partition has come to, and that the validated topic has come to as well, with the
 * running maximum after it; what follows it is sent again (repeats are skipped by marks). Where there is no
 * such section the partition is worked again from its start, if the raw topic still has it, or was never worked and is a team's own. Throws
 * ProgressLost otherwise; never starts in the middle in silence.
 */
export async function recoverProgress(
  deps: RecoverDeps,
  lost: readonly TopicPartition[],
): Promise<Progress[]> {
  const { project, kafka, codecs } = deps;
  const blocks = new Map<string, KafkaRecord[][]>();
  for (const view of project.views) {
    const topic = topics.view(project.prefix, view.id);
    blocks.set(topic, await readTails(kafka, topic, LOOK_BACK));
  }
  const progress: Progress[] = [];
  for (const { topic, partition } of lost) {
    const source = sourceOf(project, topic);
    const codec = codecs.validated(source.name);
    const tails = await readTails(kafka, topics.validated(project.prefix, source.name), LOOK_BACK);
    // What somebody else put behind our last event says nothing.
    const validated = tails[partition]?.findLast(({ value }) => value === null || codec.read(value) !== null);
    const told = project.views
      .filter((view) => view.sources.includes(source.name))
      .flatMap(({ id, local }) =>
        (blocks.get(topics.view(project.prefix, id)) ?? [])
          .filter((_, of) => !local || of === partition)
          .map((tail) => ({ id, sections: sectionsAbout(tail, codecs, topic, partition) })),
      );
    const known = told.map(({ sections }) => sections);
    const reached = Math.min(
      validated === undefined ? -1 : sourceOffsetOf(validated, codec),
      ...known.map((sections) => sections.at(-1)?.to ?? -1),
    );
    const best = known
      .flat()
      .filter(({ to }) => to <= reached)
      .reduce<Section | null>(
        (last, section) => (last === null || section.to > last.to ? section : last),
        null,
      );
    if (best !== null && best.to >= 0)
      progress.push({
        ...FRESH_PROGRESS,
        next: best.to + 1,
        runningMax: best.runningMax,
        byClock: best.byClock,
        clockOpen: best.clockOpen,
        turn: best.turn,
        tardy: PROMPT_AFTER,
        appendTime: best.appendTime,
        fed: Object.fromEntries(
          told.map(({ id, sections }) => [id, Math.min(sections.at(-1)?.from ?? 0, best.to + 1)]),
        ),
      });
    else progress.push(await fromTheStart(deps, source, { topic, partition }));
  }
  return progress;
}

/** The progress of a partition that is worked from its start. Throws ProgressLost where that may have been worked, and is gone. */
async function fromTheStart(
  { project, kafka }: RecoverDeps,
  source: Source,
  { topic, partition }: TopicPartition,
): Promise<Progress> {
  const start = await startOf(kafka, topic, partition);
  if (start === 0) return FRESH_PROGRESS;
  if (!isForeign(project.prefix, source) || !(await isUntouched(project.prefix, kafka, source, partition)))
    throw new ProgressLost(
      `The progress of ${topic} partition ${partition} is gone from the online store, the view topics do not tell it, and the raw topic no longer begins at 0. Restore the store from a backup, or start the project under a new prefix and backfill it.`,
    );
  // A topic of a team has mostly lost records before Millrace came: these were never ours to read.
  return { ...FRESH_PROGRESS, next: start };
}

/** Whether nothing was ever made of a source partition: no event of it accepted or refused. */
async function isUntouched(
  prefix: string,
  kafka: Kafka,
  { name }: Source,
  partition: number,
): Promise<boolean> {
  const written = [topics.validated(prefix, name), topics.deadLetters(prefix, name)];
  const bounds = await Promise.all(written.map((topic) => boundsOf(kafka, topic)));
  return bounds.every((each) => each[partition]?.end === 0);
}

function sectionsAbout(
  tail: readonly KafkaRecord[],
  codecs: Codecs,
  topic: string,
  partition: number,
): Section[] {
  return tail.flatMap(({ value }) =>
    value === null
      ? []
      : (codecs.blocks.read(value)?.sections ?? []).filter(
          (section) => section.history === null && section.topic === topic && section.partition === partition,
        ),
  );
}

/** The source that a raw topic is of. */
export function sourceOf(project: Project, topic: string): Source {
  const source = project.sources.find((one) => rawTopic(project.prefix, one) === topic);
  if (source === undefined) throw new Error(`${topic} is no raw topic of project ${project.name}`);
  return source;
}
