import type { TopicPartition } from '../../infrastructure/kafka/port.ts';
import type { Commit, OnlineStore } from '../../infrastructure/redis/port.ts';
import { FRESH_PROGRESS, nextTurn, type Progress } from '../../processors/lateness.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys } from '../../schemas/names.ts';
import { DAY } from '../../schemas/time.ts';
import { Contended, isTorn, keyCommit } from '../runtime/state.ts';
import { ProgressLost, type RecoverDeps, recoverProgress, sourceOf } from './recover-progress.ts';

export interface ProgressDeps extends RecoverDeps {
  readonly store: Pick<OnlineStore, 'read' | 'commit'>;
  readonly clock: Pick<Clock, 'now'>;
}

const PROGRESS_TTL_MS = 400 * DAY;
const FORMAT = 3;
/** How often a partition is tried to be taken from an owner that still commits. */
const ATTEMPTS = 10;

export const progressKey = keys.ingestProgress;

export function encodeProgress(progress: Progress): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...progress }));
}

/** Format 2 knew nothing of idleness and promptness. */
export function decodeProgress(bytes: Uint8Array): Progress {
  const { format, ...progress } = JSON.parse(Buffer.from(bytes).toString()) as Progress & {
    format?: unknown;
  };
  if (format !== FORMAT && format !== 2)
    throw new ProgressLost(
      `Ingest's progress has format ${String(format)}; this version of Millrace reads format ${FORMAT}.`,
    );
  return { ...FRESH_PROGRESS, ...progress };
}

/** Null where the store has none, or a torn one. Throws ProgressLost. */
export function wholeProgress(bytes: Uint8Array | null): Progress | null {
  return bytes === null || isTorn(bytes) ? null : decodeProgress(bytes);
}

/** The progress of a source partition, and its bytes as the online store has them. */
export interface Known {
  readonly bytes: Uint8Array;
  readonly progress: Progress;
}

export function progressCommit(key: string, expected: Uint8Array | null, next: Uint8Array): Commit {
  return keyCommit(key, expected, next, PROGRESS_TTL_MS);
}

/**
 * Takes source partitions: reads their progress and begins a new turn of each, so that an owner before can set nothing
 * any more. What the store does not know (a new partition, a lost or torn store) is recovered first. Throws Contended where
 * another owner keeps setting it, ProgressLost where it cannot be recovered.
 */
export async function takeProgress(
  deps: ProgressDeps,
  partitions: readonly TopicPartition[],
): Promise<Known[]> {
  const { project, store, clock } = deps;
  const taken = new Map<TopicPartition, Known>();
  for (let attempt = 0; taken.size < partitions.length; attempt += 1) {
    if (attempt === ATTEMPTS)
      throw new Contended('Another process is at work on the same partitions of ingest; trying again.');
    const wanted = partitions.filter((tp) => !taken.has(tp));
    const keyOf = (tp: TopicPartition) =>
      progressKey(project.prefix, sourceOf(project, tp.topic).name, tp.partition);
    const found = (await store.read(wanted.map((tp) => [keyOf(tp)]))).map(([bytes = null]) => bytes);
    const whole = found.map(wholeProgress);
    const lost = wanted.filter((_, i) => whole[i] === null);
    const recovered = lost.length === 0 ? [] : await recoverProgress(deps, lost);
    const next = wanted.map((tp, i): Known => {
      const known = whole[i] ?? recovered[lost.indexOf(tp)] ?? FRESH_PROGRESS;
      const progress = { ...known, turn: nextTurn(known, clock.now()) };
      return { progress, bytes: encodeProgress(progress) };
    });
    const results = await store.commit(
      wanted.map((tp, i) => progressCommit(keyOf(tp), found[i] ?? null, (next[i] as Known).bytes)),
    );
    for (const [i, tp] of wanted.entries())
      if (results[i]?.status === 'committed') taken.set(tp, next[i] as Known);
  }
  return partitions.map((tp) => taken.get(tp) as Known);
}
