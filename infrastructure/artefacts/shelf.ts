import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createArtefactDirectory } from './directory.ts';
import type { ArtefactStore } from './port.ts';

/** Artefacts that can be made again: only the youngest are kept. */
export interface Shelf extends ArtefactStore {
  /** Removes all but the youngest `keep`. */
  prune(keep: number): Promise<void>;
}

export function createShelf(directory: string): Shelf {
  return {
    ...createArtefactDirectory(directory),
    async prune(keep) {
      const names = await readdir(directory, { recursive: true }).catch(() => []);
      const files = await Promise.all(
        names
          .filter((name) => /[0-9a-f]{64}$/.test(name))
          .map(async (name) => {
            const path = join(directory, name);
            // Another worker may have removed it meanwhile.
            return {
              path,
              at: await stat(path).then(
                ({ mtimeMs }) => mtimeMs,
                () => 0,
              ),
            };
          }),
      );
      const old = files.sort((a, b) => b.at - a.at).slice(keep);
      for (const { path } of old) await rm(path, { force: true });
    },
  };
}
