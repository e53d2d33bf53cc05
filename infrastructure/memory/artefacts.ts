import { checkAddress, checkBytes, sha256Of } from '../artefacts/directory.ts';
import { ArtefactStoreError } from '../artefacts/errors.ts';
import type { ArtefactStore } from '../artefacts/port.ts';

export interface MemoryArtefacts extends ArtefactStore {
  /** Flips one bit of what is stored. */
  damage(sha256: string): void;
}

export function createMemoryArtefacts(): MemoryArtefacts {
  const stored = new Map<string, Uint8Array>();
  return {
    async put(bytes) {
      const sha256 = sha256Of(bytes);
      stored.set(sha256, bytes.slice());
      return { sha256, location: `memory:${sha256}` };
    },
    async get(sha256) {
      checkAddress(sha256);
      const bytes = stored.get(sha256);
      if (bytes === undefined) {
        throw new ArtefactStoreError('missing', `There is no artefact ${sha256.slice(0, 12)}… in memory.`);
      }
      checkBytes(sha256, bytes, 'memory');
      return bytes.slice();
    },
    damage(sha256) {
      const bytes = stored.get(sha256);
      if (bytes !== undefined && bytes[0] !== undefined) bytes[0] ^= 1;
    },
  };
}
