import { isForeign, rawTopic } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { withPartitions } from '../runtime/partitions.ts';
import { clockedSources } from './clocked.ts';
import { ReplayRefused } from './errors.ts';
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
  refuseForeign(deps.project, options);
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

/** History and clocks may go to topics of ours alone: others read the topics of a team. */
function refuseForeign(project: Project, { inputs }: Pick<ReplayAllOptions, 'inputs'>): void {
  const foreign = clockedSources(project, inputs).filter((source) => isForeign(project.prefix, source));
  if (foreign.length === 0) return;
  const names = foreign.map((source) => `'${source.name}' (${rawTopic(project.prefix, source)})`).join(', ');
  throw new ReplayRefused(
    `A replay writes history and clocks to the raw topics, and these sources read topics of your own, which others read too: ${names}. Load history with 'millrace import' and 'millrace backfill state', or replay into a copy of the project without \`topic:\`, under another prefix.`,
  );
}
