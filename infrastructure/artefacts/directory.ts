import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ArtefactStoreError } from './errors.ts';
import type { ArtefactStore } from './port.ts';

export const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Also keeps a path out of an address that a stranger wrote. */
export function checkAddress(sha256: string): void {
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new ArtefactStoreError(
      'bad_address',
      `\`${sha256.slice(0, 80)}\` is no SHA-256: 64 hex digits are.`,
    );
  }
}

export function checkBytes(sha256: string, bytes: Uint8Array, where: string): void {
  const found = sha256Of(bytes);
  if (found === sha256) return;
  throw new ArtefactStoreError(
    'altered',
    `The artefact in ${where} is not what its name says: its SHA-256 is ${found.slice(0, 12)}…, not ${sha256.slice(0, 12)}…; it was altered or cut. Restore it from a backup, or train again.`,
  );
}

/** Artefacts in a directory, `<first two digits>/<SHA-256>`: to be shared by all processes that score. */
export function createArtefactDirectory(directory: string): ArtefactStore {
  const root = resolve(directory);
  const folderOf = (sha256: string) => join(root, sha256.slice(0, 2));
  const fileOf = (sha256: string) => join(folderOf(sha256), sha256);

  async function read(sha256: string): Promise<Uint8Array> {
    try {
      return await readFile(fileOf(sha256));
    } catch (cause) {
      const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      throw new ArtefactStoreError(
        missing ? 'missing' : 'unreadable',
        missing
          ? `There is no artefact ${sha256.slice(0, 12)}… in ${root}: every process that scores needs the directory that training wrote to.`
          : `The artefact ${fileOf(sha256)} cannot be read: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  return {
    async put(bytes) {
      const sha256 = sha256Of(bytes);
      const location = fileOf(sha256);
      try {
        const there = await read(sha256);
        checkBytes(sha256, there, location);
        return { sha256, location };
      } catch (error) {
        // Missing, or damaged: written (again) below.
        if (!(error instanceof ArtefactStoreError) || error.code === 'unreadable') throw error;
      }
      await mkdir(folderOf(sha256), { recursive: true });
      // Renamed when whole and on disk: a reader or a crash never meets half a file under the name.
      const work = `${location}.${randomUUID()}`;
      try {
        const file = await open(work, 'wx');
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(work, location);
      } catch (cause) {
        await rm(work, { force: true });
        throw new ArtefactStoreError(
          'unreadable',
          `The artefact ${location} cannot be written: ${(cause as Error).message}`,
          { cause },
        );
      }
      return { sha256, location };
    },

    async get(sha256) {
      checkAddress(sha256);
      const bytes = await read(sha256);
      checkBytes(sha256, bytes, fileOf(sha256));
      return bytes;
    },
  };
}
