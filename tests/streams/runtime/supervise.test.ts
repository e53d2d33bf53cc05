import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Stream } from '../../../streams/runtime/stream.ts';
import { runStreams } from '../../../streams/runtime/supervise.ts';

const untilStopped = (signal: AbortSignal) =>
  new Promise<void>((done) => {
    if (signal.aborted) done();
    signal.addEventListener('abort', () => done());
  });

const log: string[] = [];
const stream = (name: string, run: (signal: AbortSignal) => Promise<void>): Stream => ({ name, run });

/** Drains for a moment before it ends. */
const steady = (name: string) =>
  stream(name, async (signal) => {
    await untilStopped(signal);
    await sleep(20);
    log.push(`${name} drained`);
  });

describe('running streams side by side', () => {
  it('drains all of them when told to stop', async () => {
    log.length = 0;
    const abort = new AbortController();
    const states: string[] = [];
    const running = runStreams([steady('a'), steady('b')], abort.signal, (name, state) =>
      states.push(`${name} ${state}`),
    );
    abort.abort();
    await running;
    expect(log.sort()).toEqual(['a drained', 'b drained']);
    expect(states.sort()).toEqual(['a running', 'a stopped', 'b running', 'b stopped']);
  });

  it('a bug in one stops the others in order and comes out', async () => {
    log.length = 0;
    const broken = stream('broken', async () => {
      await sleep(5);
      throw new TypeError('a bug');
    });
    await expect(runStreams([steady('a'), broken], new AbortController().signal)).rejects.toThrow('a bug');
    expect(log).toEqual(['a drained']);
  });

  it('a stream that just ends is a bug too', async () => {
    const quiet = stream('quiet', async () => {});
    await expect(runStreams([steady('a'), quiet], new AbortController().signal)).rejects.toThrow(
      'although nobody told it to',
    );
  });
});
