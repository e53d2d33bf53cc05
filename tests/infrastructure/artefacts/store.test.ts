import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createArtefactDirectory } from '../../../infrastructure/artefacts/directory.ts';
import type { ArtefactStore } from '../../../infrastructure/artefacts/port.ts';
import { createMemoryArtefacts } from '../../../infrastructure/memory/artefacts.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-artefacts-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const memory = createMemoryArtefacts();
const bytes = Uint8Array.from({ length: 5_000 }, (_, i) => (i * 31) & 255);

function flipBit(file: string): void {
  const there = readFileSync(file);
  there[2_000] = (there[2_000] ?? 0) ^ 4;
  writeFileSync(file, there);
}

const stores: Array<[string, ArtefactStore, (sha256: string, location: string) => void]> = [
  ['directory', createArtefactDirectory(directory), (_, location) => flipBit(location)],
  ['memory', memory, (sha256) => memory.damage(sha256)],
];

describe.each(stores)('artefact store: %s', (name, store, damage) => {
  it('keeps bytes under their SHA-256', async () => {
    const { sha256, location } = await store.put(bytes);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(location).toContain(sha256);
    expect(await store.put(bytes)).toEqual({ sha256, location });
    expect(Buffer.from(await store.get(sha256)).equals(bytes)).toBe(true);
    const other = await store.put(bytes.subarray(1));
    expect(other.sha256).not.toBe(sha256);
    expect(await Promise.all([store.put(bytes), store.put(bytes)])).toHaveLength(2);
    if (name === 'directory') expect(readdirSync(dirname(location))).toEqual([sha256]);
  });

  it('refuses bytes of which one bit was altered, and mends them when they are put again', async () => {
    const { sha256, location } = await store.put(bytes);
    damage(sha256, location);
    await expect(store.get(sha256)).rejects.toMatchObject({ code: 'altered', retriable: false });
    await expect(store.get(sha256)).rejects.toThrow(/not what its name says/);
    await store.put(bytes);
    expect(await store.get(sha256)).toHaveLength(bytes.length);
  });

  it('says that one is missing, and that an address is none', async () => {
    await expect(store.get('0'.repeat(64))).rejects.toMatchObject({ code: 'missing', retriable: true });
    await expect(store.get('../../etc/passwd')).rejects.toMatchObject({ code: 'bad_address' });
  });
});
