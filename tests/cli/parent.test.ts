import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../architecture/sources.ts';

const PARENT = JSON.stringify(join(root, 'cli/parent.ts'));
/** Says when it began, and when it was to end. */
const SCRIPT = `
  const { endWithShell } = await import(${PARENT});
  const signal = endWithShell(new AbortController().signal, process.env);
  console.log('began', process.pid);
  signal.addEventListener('abort', () => { console.log('told'); process.exit(0); });
  setTimeout(() => { console.log('went on'); process.exit(1); }, 8000);
`;

/** Starts it through a shell, as npx does, ends the shell alone, and answers with what it said then. */
async function afterShell(variables: Readonly<Record<string, string>>): Promise<string> {
  const { npm_command: _, npm_execpath: __, ...plain } = process.env;
  const shell = spawn('sh', ['-c', '"$0" --input-type=module -e "$1"; true', process.execPath, SCRIPT], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...plain, ...variables },
  });
  let said = '';
  shell.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  while (!said.includes('began')) await once(shell.stdout, 'data');
  shell.kill('SIGTERM');
  // Whoever still runs holds the pipe open.
  await once(shell.stdout, 'close');
  return said.replace(/^began \d+\n/, '').trim();
}

it('what npx started through a shell ends when that shell is gone', async () => {
  expect(await afterShell({ npm_command: 'exec' })).toBe('told');
}, 60_000);

it('what somebody else started may outlive its shell', async () => {
  expect(await afterShell({})).toBe('went on');
}, 60_000);
