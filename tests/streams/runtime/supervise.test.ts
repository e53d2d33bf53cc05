import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../schemas/refusal.ts';
import { restartOnFailure, type Stream } from '../../../streams/runtime/stream.ts';
import { runStreams, type StreamState } from '../../../streams/runtime/supervise.ts';
import { type LastingFailure, SILENT } from '../../../streams/runtime/telemetry.ts';

const untilStopped = (signal: AbortSignal) =>
  new Promise<void>((done) => {
    if (signal.aborted) done();
    signal.addEventListener('abort', () => done());
  });

type Run = Stream['run'];
const stream = (name: string, run: Run): Stream => ({ name, run });

class Refused extends MillraceError {
  readonly code = 'refused';
  readonly retriable = false;
}
class Away extends MillraceError {
  readonly code = 'away';
  readonly retriable = true;
}
class Final extends MillraceError {
  readonly code = 'final';
  readonly retriable = false;
  override readonly final = true;
}

/** A clock on which an hour of waiting takes no time; what waits on it yields to the others. */
function quickClock() {
  let now = 1_000_000;
  return {
    now: () => now,
    sleep: async (ms: number) => {
      await new Promise((done) => setImmediate(done));
      now += ms;
    },
  };
}

function supervised(streams: readonly Stream[], abort = new AbortController()) {
  const clock = quickClock();
  const states: string[] = [];
  const reasons = new Map<string, string | null>();
  const failing: Array<LastingFailure | null> = [];
  const done = runStreams(streams, abort.signal, {
    clock,
    telemetry: { ...SILENT, failing: (_, failure) => void failing.push(failure) },
    onState: (name: string, state: StreamState, reason: string | null) => {
      states.push(`${name} ${state}`);
      reasons.set(name, reason);
    },
  });
  // Awaited by the test, in its own time.
  done.catch(() => {});
  return { abort, clock, states, reasons, failing, done };
}

/** Works until told to stop, and drains for a moment. */
function steady(name: string) {
  let drained = false;
  const one = stream(name, async (signal, healthy) => {
    healthy?.();
    await untilStopped(signal);
    await sleep(5);
    drained = true;
  });
  return { one, drained: () => drained };
}

/** Fails at each start; `starts` says when that was, ms of the clock. */
function failsWith(name: string, errors: (start: number) => Error) {
  let starts = 0;
  return {
    one: stream(name, async () => {
      throw errors(starts++);
    }),
    starts: () => starts,
  };
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i += 1) await new Promise((done) => setImmediate(done));
};

describe('streams side by side', () => {
  it('all of them drain when told to stop', async () => {
    const [a, b] = [steady('a'), steady('b')];
    const { abort, states, done } = supervised([a.one, b.one]);
    abort.abort();
    await done;
    expect(a.drained() && b.drained()).toBe(true);
    expect(states.sort()).toEqual(['a running', 'a stopped', 'b running', 'b stopped']);
  });

  it.each([
    ['a bug', () => new TypeError('undefined is not a function')],
    ['an error without a word', () => new Error('')],
    ['a refusal that waiting does not mend', () => new Refused('ClickHouse refuses the statement')],
    ['something that is no error', () => 'a text' as unknown as Error],
  ])('%s ends nobody else, and is told with a reason', async (_, error) => {
    const good = steady('ingest');
    const bad = failsWith('monitoring', error);
    const { abort, states, reasons, failing, done } = supervised([good.one, bad.one]);
    await turns(2_000);
    expect(states).not.toContain('ingest stopped');
    expect(good.drained()).toBe(false);
    expect(bad.starts()).toBeGreaterThan(3);
    expect(reasons.get('monitoring')).toMatch(/\w/);
    expect(failing.at(-1)?.sentence).toMatch(/\w.* times since .*begins again in/);
    abort.abort();
    await expect(done).rejects.toBeInstanceOf(Error);
    expect(good.drained()).toBe(true);
  });

  it('one that fails the same way waits ever longer, up to a minute', async () => {
    const begun: number[] = [];
    const good = steady('a');
    let now = () => 0;
    const bad = stream('b', async () => {
      begun.push(now());
      throw new Refused(`row ${begun.length} of 900`);
    });
    const { abort, clock, done } = supervised([good.one, bad]);
    now = clock.now;
    await turns(8_000);
    abort.abort();
    await done.catch(() => {});
    const pauses = begun.slice(2).map((at, i) => Math.round((at - (begun[i + 1] ?? 0)) / 1_000));
    expect(pauses.slice(0, 5)).toEqual([2, 4, 8, 16, 32]);
    expect(Math.max(...pauses)).toBe(60);
  });

  it('a failure of another kind begins with a short pause again', async () => {
    const begun: number[] = [];
    const clock = quickClock();
    const abort = new AbortController();
    const bad = stream('b', async () => {
      begun.push(clock.now());
      throw new Refused(begun.length <= 5 ? 'first kind' : 'second kind');
    });
    const done = runStreams([steady('a').one, bad], abort.signal, { clock });
    done.catch(() => {});
    await turns(1_000);
    abort.abort();
    await expect(done).rejects.toThrow('second kind');
    const pauses = begun.slice(1).map((at, i) => Math.round((at - (begun[i] ?? 0)) / 1_000));
    expect(pauses.slice(0, 6)).toEqual([1, 2, 4, 8, 16, 1]);
  });

  it('one that has got over its failure ends with success', async () => {
    let starts = 0;
    const clock = quickClock();
    const abort = new AbortController();
    const states: string[] = [];
    const lame = stream('lame', async (signal, healthy) => {
      starts += 1;
      if (starts < 4) throw new Error('not yet');
      while (!signal.aborted) {
        healthy?.();
        await clock.sleep(1_000);
      }
    });
    const done = runStreams([steady('a').one, lame], abort.signal, {
      clock,
      onState: (name, state) => void states.push(`${name} ${state}`),
    });
    await turns(500);
    expect(states.at(-1)).toBe('lame running');
    abort.abort();
    await done;
    expect(states.filter((one) => one === 'lame restarting')).toHaveLength(3);
  });

  it('a final failure stops that stream alone, and is the result at the end', async () => {
    const good = steady('ingest');
    const bad = failsWith('inference fraud', () => new Final('the progress is lost'));
    const { abort, states, done } = supervised([good.one, bad.one]);
    await turns(500);
    expect(bad.starts()).toBe(1);
    expect(states).toEqual(['ingest running', 'inference fraud running', 'inference fraud failed']);
    abort.abort();
    await expect(done).rejects.toThrow('the progress is lost');
    expect(good.drained()).toBe(true);
  });

  it('where nothing has ever worked, the process ends and says why', async () => {
    const a = failsWith('a', () => new Refused('there is no such topic'));
    const b = failsWith('b', () => new Refused('there is no such topic'));
    const { done } = supervised([a.one, b.one]);
    await expect(done).rejects.toThrow('there is no such topic');
  });

  it('a stream that just ends has failed', async () => {
    const { done } = supervised([stream('quiet', async () => {})]);
    await expect(done).rejects.toThrow('although nobody told it to');
  });

  it('an error while draining is the result', async () => {
    const bad = stream('b', async (signal, healthy) => {
      healthy?.();
      await untilStopped(signal);
      throw new Refused('the last batch was refused');
    });
    const { abort, done } = supervised([steady('a').one, bad]);
    abort.abort();
    await expect(done).rejects.toThrow('the last batch was refused');
  });
});

describe('a stream whose world fails', () => {
  it('waits and goes on; what lasts is told, and its end too', async () => {
    const clock = quickClock();
    const failing: Array<LastingFailure | null> = [];
    const abort = new AbortController();
    let runs = 0;
    await restartOnFailure(
      'archive',
      clock,
      { ...SILENT, failing: (_, failure) => void failing.push(failure) },
      abort.signal,
      async (healthy) => {
        runs += 1;
        if (runs < 6) throw new Away('ClickHouse at db:8123 cannot be reached');
        healthy();
        abort.abort();
      },
    );
    expect(failing.map((one) => one?.times ?? null)).toEqual([3, 4, 5, null]);
    expect(failing[0]?.reason).toBe('ClickHouse at db:8123 cannot be reached');
  });
});
