import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../architecture/sources.ts';

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs this clone's command line as a process of its own. */
export function millrace(
  parameters: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Ended> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [join(root, 'cli/millrace.ts'), ...parameters],
      {
        cwd: options.cwd,
        env: { ...process.env, NO_COLOR: '1', ...options.env },
        maxBuffer: 1e8,
        timeout: 240_000,
      },
      (error, out, err) => done({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });
}

export const PAGE_VIEW = {
  view_id: 'v1',
  at: '2026-01-31T12:00:00Z',
  user: { id: 'u17' },
  page: '/cart',
  seconds: 4.2,
};

/** A project that `millrace init` made of page views, with its history written. */
export async function pageViews(perDay: number, name = 'page_views'): Promise<string> {
  const directory = join(mkdtempSync(join(tmpdir(), 'millrace-project-')), 'shop');
  const made = await millrace([
    'init',
    directory,
    '--name',
    name,
    '--predict',
    'bought',
    '--sample',
    JSON.stringify(PAGE_VIEW),
  ]);
  if (made.code !== 0) throw new Error(made.err);
  await new Promise<void>((done, fail) => {
    execFile(process.execPath, ['generate.mjs', '--per-day', String(perDay)], { cwd: directory }, (error) =>
      error === null ? done() : fail(error),
    );
  });
  return directory;
}
