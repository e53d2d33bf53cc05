import { spawn } from 'node:child_process';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { giveWay } from '../../../infrastructure/local/give-way.ts';

describe('giving way', () => {
  it('lowers the priority of a process by ten, at most to the lowest', () => {
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
    try {
      const before = getPriority(child.pid);
      giveWay(child.pid);
      expect(getPriority(child.pid)).toBe(Math.min(19, before + 10));
      giveWay(child.pid);
      giveWay(child.pid);
      expect(getPriority(child.pid)).toBe(19);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('lets a process be that is there no more', () => {
    expect(() => giveWay(2 ** 22 + 1)).not.toThrow();
  });

  it.runIf(process.platform === 'linux')('in a thread leaves the other threads as they were', async () => {
    const before = getPriority();
    const module = new URL('../../../infrastructure/local/give-way.ts', import.meta.url);
    const thread = new Worker(
      `import('${module}').then(({ giveWayInThread }) => {
        giveWayInThread();
        require('worker_threads').parentPort.postMessage(require('os').getPriority());
      })`,
      { eval: true },
    );
    const there = await new Promise((resolve, reject) => thread.on('message', resolve).on('error', reject));
    expect(there).toBe(Math.min(19, before + 10));
    expect(getPriority()).toBe(before);
  });
});
