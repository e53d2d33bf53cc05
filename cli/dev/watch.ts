import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const FOLDERS = ['.', 'sources', 'views', 'features', 'models'];
const LOOK_MS = 300;

/** Hash of every YAML file of a project. Comparing texts, not times: an editor that saves without a change says nothing. */
export function fingerprint(directory: string): string {
  const hash = createHash('sha256');
  for (const folder of FOLDERS)
    for (const name of namesIn(join(directory, folder)))
      hash.update(`${folder}/${name}\0${textOf(join(directory, folder, name))}\0`);
  return hash.digest('hex');
}

/** Tells of each change of the project's files, once it has been still for a moment, until the signal. */
export async function watchProject(
  directory: string,
  onChange: () => Promise<void>,
  signal: AbortSignal,
  lookMs = LOOK_MS,
): Promise<void> {
  let told = fingerprint(directory);
  let before = told;
  while (!signal.aborted) {
    await sleep(lookMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const now = fingerprint(directory);
    if (now !== told && now === before) {
      told = now;
      await onChange();
    }
    before = now;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /\.ya?ml$/.test(name))
      .sort();
  } catch {
    return [];
  }
}

/** A file that is just being replaced is no file for a moment. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
