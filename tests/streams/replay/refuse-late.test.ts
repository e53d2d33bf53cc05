import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { FRESH_PROGRESS } from '../../../processors/lateness.ts';
import { encodeMeta, freshMeta } from '../../../processors/meta.ts';
import { keys } from '../../../schemas/names.ts';
import { MINUTE } from '../../../schemas/time.ts';
import { encodeProgress, progressKey } from '../../../streams/ingest/progress.ts';
import { ReplayRefused } from '../../../streams/replay/errors.ts';
import { refuseLate } from '../../../streams/replay/refuse-late.ts';
import { FILES, load } from '../../config/project.ts';

const T = Date.UTC(2026, 0, 1);
const project = load(FILES);
const [source] = project.sources;
const [view] = project.views;
if (source === undefined || view === undefined) throw new Error('the project has a source and a view');

async function storeWith(entries: Readonly<Record<string, Uint8Array>>) {
  const store = createMemoryStore();
  for (const [metaKey, next] of Object.entries(entries))
    await store.commit([
      { metaKey, expected: null, next, sets: [], appends: [], deletes: [], logTtlMs: 1e6, metaTtlMs: 1e6 },
    ]);
  return store;
}

describe('a replay whose first event would be late', () => {
  it('is refused where a raw partition has come beyond it', async () => {
    const store = await storeWith({
      [progressKey(project.prefix, source.name, 1)]: encodeProgress({
        ...FRESH_PROGRESS,
        runningMax: T + MINUTE,
      }),
    });
    await refuseLate({ project, store }, source, T);
    const refused = refuseLate({ project, store }, source, T - 1);
    await expect(refused).rejects.toThrow(ReplayRefused);
    await expect(refused).rejects.toThrow(
      /orders\.raw partition 1 has come to 2026-01-01T00:00:00\.000Z.*--prefix/,
    );
  });

  it('is refused where a view that it feeds has come beyond it, though no raw partition has', async () => {
    const meta = { ...freshMeta('life', 0, false), frontier: T };
    const store = await storeWith({
      [keys.meta(keys.viewPartition(project.prefix, view.id, 0))]: encodeMeta(meta),
    });
    await refuseLate({ project, store }, source, T);
    await expect(refuseLate({ project, store }, source, T - 1)).rejects.toThrow(
      /the view customer@\w+ partition 0 has come to 2026-01-01T00:00:00\.000Z: it would be late\. Start fresh/,
    );
  });

  it('is none where nothing was worked yet', async () => {
    await refuseLate({ project, store: createMemoryStore() }, source, 0);
  });
});
