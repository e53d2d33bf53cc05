import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { alive, type ProcessRecord, startOf } from '../infrastructure/local/processes.ts';
import { down } from '../infrastructure/local/stack.ts';

const prefix = 'millrace-test-stack-';

/** A run that was killed could not stop its stack: the next one does. */
async function sweep(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const directory = join(tmpdir(), name);
    let owner: ProcessRecord;
    try {
      owner = JSON.parse(readFileSync(join(directory, 'owner.json'), 'utf8')) as ProcessRecord;
    } catch {
      continue;
    }
    if (!alive(owner)) await remove(directory);
  }
}

async function remove(directory: string): Promise<void> {
  await down({ dataDir: directory });
  rmSync(directory, { recursive: true, force: true });
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = process.env.MILLRACE_TEST_STACK;
  if (running) {
    project.provide('stackDirectory', running);
    return async () => undefined;
  }
  await sweep();
  const directory = mkdtempSync(join(tmpdir(), prefix));
  const owner: ProcessRecord = { pid: process.pid, started: startOf(process.pid) ?? '' };
  writeFileSync(join(directory, 'owner.json'), JSON.stringify(owner));
  project.provide('stackDirectory', directory);
  return () => remove(directory);
}
