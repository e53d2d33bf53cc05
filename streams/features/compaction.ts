import type { Commit, CommitResult } from '../../infrastructure/redis/port.ts';
import { compactLog } from '../../processors/compact.ts';
import { logInfo, wantsCompaction } from '../../processors/log-layout.ts';
import { exactHeadOf } from '../../processors/meta.ts';
import type { FeaturesContext } from './context.ts';
import { keepHead } from './pace.ts';
import type { OwnedView } from './view-partition.ts';

const MOST_HINTS = 100_000;
/** Logs read and rewritten in one go; a larger call would block the store's other readers. */
const MOST_LOGS = 100;

export interface Grown {
  readonly state: OwnedView;
  readonly commit: Commit;
  readonly result: CommitResult & { readonly status: 'committed' };
}

/**
 * Reads the logs that have outgrown their last compaction, merges them and sets them, against the very meta
 * that the commit before left: so nothing can have been appended in between. Answers with the view
 * partitions where that was not so.
 */
export async function compactGrown(context: FeaturesContext, grown: readonly Grown[]): Promise<OwnedView[]> {
  const { store } = context;
  const conflicts: OwnedView[] = [];
  const due = grown.flatMap(({ state, commit, result }) => {
    const logs = commit.appends
      .map(([key]) => key)
      .filter((key, i) => wantsCompaction(result.lengths[i] ?? 0, state.compactions.get(key) ?? 0));
    return logs.length === 0 ? [] : [{ state, commit, logs: logs.slice(0, MOST_LOGS) }];
  });
  if (due.length === 0) return conflicts;
  const found = await store.read(due.map(({ commit, logs }) => [commit.metaKey, ...logs]));
  const rewrites: Array<{ state: OwnedView; commit: Commit }> = [];
  for (const [i, { state, commit, logs }] of due.entries()) {
    const [meta, ...bytes] = found[i] ?? [];
    if (meta == null || state.expected === null || Buffer.compare(meta, state.expected) !== 0) {
      conflicts.push(state);
      continue;
    }
    if (state.compactions.size > MOST_HINTS) state.compactions.clear();
    const sets = rewritten(context, state, logs, bytes);
    if (sets.length > 0)
      rewrites.push({ state, commit: { ...commit, expected: meta, next: meta, sets, appends: [] } });
  }
  const results = await store.commit(rewrites.map(({ commit }) => commit));
  for (const [i, { state }] of rewrites.entries())
    if (results[i]?.status !== 'committed') conflicts.push(state);
  return conflicts;
}

function rewritten(
  context: FeaturesContext,
  state: OwnedView,
  logs: readonly string[],
  bytes: ReadonlyArray<Uint8Array | null>,
): Array<readonly [string, Uint8Array]> {
  const sets: Array<readonly [string, Uint8Array]> = [];
  const { meta, view } = state;
  const keep = keepHead(context, state);
  if (meta.frontier !== null && keep < meta.frontier - view.slack) context.telemetry.guarded('hold');
  for (const [i, key] of logs.entries()) {
    const log = bytes[i] ?? null;
    const suffix = key.slice(state.key.length + 1, state.key.length + 2);
    const set = view.sets.find((candidate) => candidate.suffix === suffix);
    if (log === null || set === undefined) continue;
    const known = logInfo(log).compactedBytes;
    if (!wantsCompaction(log.byteLength, known)) {
      state.compactions.set(key, known);
      continue;
    }
    const exactHead = exactHeadOf(view, meta, set.resolution, keep);
    if (exactHead === null) continue;
    const compacted = compactLog(view, set, log, exactHead);
    if (compacted === null) continue;
    state.compactions.set(key, compacted.byteLength);
    sets.push([key, compacted]);
  }
  return sets;
}
