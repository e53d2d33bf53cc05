import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createJobs } from '../../api/jobs/jobs.ts';

describe('the results of jobs', () => {
  let home: string;
  const before = process.env.TMPDIR;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'millrace-jobs-test-'));
    process.env.TMPDIR = home;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(home, { recursive: true, force: true });
  });

  it.each([
    ['at once', 1, 1],
    ['after more than a disk takes at once', 50, 1_000_000],
  ])('a job fails, and not the server, where they cannot be written: %s', async (_, parts, bytes) => {
    const failures: Error[] = [];
    const jobs = createJobs(Date.now, (error) => void failures.push(error));
    // What cleans /tmp of a machine does so while a server runs.
    for (const name of readdirSync(home)) rmSync(join(home, name), { recursive: true });
    const { id } = jobs.start({
      kind: 'test',
      by: 'somebody',
      type: 'text/csv',
      async run(work) {
        // The file is opened meanwhile, and nobody writes who would hear of it.
        await new Promise((done) => setTimeout(done, 50));
        for (let i = 0; i < parts; i += 1) await work.write('x'.repeat(bytes));
      },
    });
    await expect.poll(() => jobs.get(id)?.finishedAt, { timeout: 10_000 }).not.toBeNull();
    expect(jobs.get(id)).toMatchObject({ state: 'failed', result: null, error: { code: 'not_written' } });
    expect(jobs.get(id)?.error?.detail).toContain('(ENOENT)');
    expect(failures).toHaveLength(1);
    await jobs.close();
    expect(existsSync(home)).toBe(true);
  });
});
