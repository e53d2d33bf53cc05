import { withPartitions } from '../runtime/partitions.ts';
import { MergedItems, type ReplayItem } from './items.ts';
import { ReplayLock } from './lock.ts';
import type { ReplayAllOptions, ReplayDeps, ReplayOptions, ReplayResult } from './options.ts';
import { ReplayRun } from './run.ts';

export { ReplayRefused, ReplayRunning, ReplayStuck, ReplayTaken } from './errors.ts';
export type { ReplayInput, ReplayItem } from './items.ts';
export type {
  ReplayAllOptions,
  ReplayDeps,
  ReplayOptions,
  ReplayProgress,
  ReplayResult,
} from './options.ts';

/** Replays one source: see `replayAll`. */
export function replay(
  deps: ReplayDeps,
  {
    source,
    items,
    ...options
  }: ReplayOptions & { readonly source: string; readonly items: AsyncIterable<readonly ReplayItem[]> },
): Promise<ReplayResult> {
  return replayAll(deps, { ...options, inputs: [{ source, items }] });
}

/**
 * Sends events to the raw topics of their sources, merged by event time, bringing one clock for all: clock records say how far event
 * time has come, to every partition, and come back through every stream when all before them is worked. Nothing is sent
 * more than half a slack ahead of what has come back, so no reader is ever behind. A second replay beside it is refused.
 * Throws ReplayRefused, ReplayRunning, ReplayTaken, ReplayStuck, KafkaError, StoreError.
 */
export async function replayAll(given: ReplayDeps, options: ReplayAllOptions): Promise<ReplayResult> {
  // The clock goes to every partition, those among them that the raw topics have got since.
  const deps = { ...given, project: await withPartitions(given.project, given.kafka) };
  const lock = await ReplayLock.acquire(deps, deps.project.prefix, options.name);
  try {
    const merged = await MergedItems.open(options.inputs);
    const run = new ReplayRun(deps, options, merged, lock);
    try {
      await run.open();
      return await run.all();
    } finally {
      await run.close();
      await merged.close();
    }
  } finally {
    await lock.release();
  }
}
