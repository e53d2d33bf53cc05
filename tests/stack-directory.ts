import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alive, type ProcessRecord, startOf } from '../infrastructure/local/processes.ts';
import { down } from '../infrastructure/local/stack.ts';

const prefix = 'millrace-test-stack-';

/** A new data directory for a stack of tests. It names its owner, so that a later run can clean up after it. */
export function stackDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), prefix));
  const owner: ProcessRecord = { pid: process.pid, started: startOf(process.pid) ?? '' };
  writeFileSync(join(directory, 'owner.json'), JSON.stringify(owner));
  return directory;
}

export async function removeStack(directory: string): Promise<void> {
  await down({ dataDir: directory });
  rmSync(directory, { recursive: true, force: true });
}

/** A run that was killed could not stop its stacks: the next one does. */
export async function sweepStacks(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const directory = join(tmpdir(), name);
    let owner: ProcessRecord;
    try {
      owner = JSON.parse(readFileSync(join(directory, 'owner.json'), 'utf8')) as ProcessRecord;
    } catch {
      continue;
    }
    if (!alive(owner)) await removeStack(directory);
  }
}
