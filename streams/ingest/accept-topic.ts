import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { nextTurn } from '../../processors/lateness.ts';
import type { Clock } from '../../schemas/clock.ts';
import { rawTopicNamed } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { boundsOf } from '../runtime/topic.ts';
import { encodeProgress, progressCommit, progressKey, wholeProgress } from './progress.ts';

/** From where a raw topic is read that was made again: all that it holds is new, or only what comes from now on. */
export const ACCEPT_FROM = ['start', 'end'] as const;
export type AcceptFrom = (typeof ACCEPT_FROM)[number];

export interface AcceptDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: Pick<OnlineStore, 'read' | 'commit'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** What became of a partition. */
export interface AcceptedPartition {
  readonly partition: number;
  /** `kept`: it is the topic that was read so far, or nothing was read of it. `busy`: ingest set it at the same time; try again. */
  readonly action: 'accepted' | 'kept' | 'busy';
  /** The broker's offset that is read next, and the one that it counts as. */
  readonly offset: number;
  readonly countedAs: number;
}

const ATTEMPTS = 20;

/**
 * Decides from where the partitions of a source are read whose topic was made again or restored. Their offsets are counted on from where
 * ingest stood, so that nothing is taken for a repeat. Ingest may run: it takes this up within a second.
 */
export async function acceptTopic(
  { project, kafka, store, clock }: AcceptDeps,
  source: string,
  from: AcceptFrom,
): Promise<AcceptedPartition[]> {
  const topic = rawTopicNamed(project, source);
  const bounds = await boundsOf(kafka, topic);
  const admin = await kafka.admin();
  const [facts] = await admin.facts([topic]).finally(() => admin.close());
  const id = facts?.id ?? null;
  const done: AcceptedPartition[] = [];
  for (const [partition, { start, end }] of bounds.entries()) {
    const key = progressKey(project.prefix, source, partition);
    for (let attempt = 1; ; attempt += 1) {
      const [[bytes = null] = []] = await store.read([[key]]);
      const progress = wholeProgress(bytes);
      if (progress === null) {
        done.push({ partition, action: 'kept', offset: start, countedAs: start });
        break;
      }
      const same = progress.topicId === null || id === null || progress.topicId === id;
      if (progress.next === 0 || (same && progress.next - progress.shift <= end)) {
        const offset = progress.next - progress.shift;
        done.push({ partition, action: 'kept', offset, countedAs: progress.next });
        break;
      }
      const offset = from === 'start' ? start : end;
      const next = {
        ...progress,
        topicId: id,
        shift: progress.next - offset,
        idle: false,
        backlogAt: null,
        turn: nextTurn(progress, clock.now()),
      };
      const [result] = await store.commit([progressCommit(key, bytes, encodeProgress(next))]);
      if (result?.status !== 'committed' && attempt < ATTEMPTS) continue;
      const action = result?.status === 'committed' ? 'accepted' : 'busy';
      done.push({ partition, action, offset, countedAs: next.next });
      break;
    }
  }
  return done;
}
