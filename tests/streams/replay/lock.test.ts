import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../infrastructure/memory/clock.ts';
import { createMemoryStore, type MemoryStore } from '../../../infrastructure/memory/store.ts';
import { ReplayRunning, ReplayTaken } from '../../../streams/replay/errors.ts';
import { LEASE_MS, LOCK_TTL_MS, ReplayLock } from '../../../streams/replay/lock.ts';

function world() {
  const clock = new VirtualClock(1_000_000);
  const store = createMemoryStore({ now: () => clock.now() });
  /** Runs the clock until the work is done. */
  async function within<T>(work: Promise<T>, limitMs = 60_000): Promise<T> {
    let done = false;
    const watched = work.finally(() => {
      done = true;
    });
    watched.catch(() => {});
    expect(await clock.runUntil(() => done, limitMs)).toBe(true);
    return watched;
  }
  const pass = (ms: number) => {
    const until = clock.now() + ms;
    return clock.runUntil(() => clock.now() >= until, ms + 1);
  };
  const acquire = (name: string, by: Pick<MemoryStore, 'read' | 'commit'> = store) =>
    within(ReplayLock.acquire({ store: by, clock }, 'shop', name));
  return { clock, store, within, pass, acquire };
}

/** A process that is stopped: nothing of it reaches the store until it goes on. */
function pausable(store: MemoryStore) {
  let resume: (() => void) | null = null;
  let paused: Promise<void> | null = null;
  return {
    pause() {
      paused = new Promise((done) => {
        resume = done;
      });
    },
    goOn() {
      paused = null;
      resume?.();
    },
    read: async (groups: Parameters<MemoryStore['read']>[0]) => {
      await paused;
      return store.read(groups);
    },
    commit: async (commits: Parameters<MemoryStore['commit']>[0]) => {
      await paused;
      return store.commit(commits);
    },
  };
}

describe('the lock of a replay', () => {
  it('refuses a second replay by a sentence that names the first and says how to go on', async () => {
    const { acquire, pass } = world();
    await acquire('april');
    await pass(3 * LOCK_TTL_MS);
    const second = acquire('may');
    await expect(second).rejects.toThrow(ReplayRunning);
    await expect(second).rejects.toThrow(
      /'april' runs under the prefix shop.*expires within 10 s.*--name april/s,
    );
  });

  it('is free at once when its replay has ended, and soon after its process has died', async () => {
    const { store, acquire, within, pass } = world();
    const first = await acquire('april');
    await within(first.release());
    const process = pausable(store);
    await acquire('may', process);
    process.pause();
    await expect(acquire('june')).rejects.toThrow(ReplayRunning);
    await pass(LOCK_TTL_MS + 1);
    await (await acquire('june')).hold();
  });

  it('goes to another process that asks by the same name, once the one before must have stopped', async () => {
    const { clock, store, acquire, within } = world();
    const process = pausable(store);
    const before = await acquire('april', process);
    await before.hold();
    process.pause();
    const asked = clock.now();
    const after = await acquire('april');
    expect(clock.now() - asked).toBeGreaterThanOrEqual(LEASE_MS);
    process.goOn();
    await expect(within(before.hold())).rejects.toThrow(ReplayTaken);
    await within(after.hold());
  });

  it('is not lost where the store is away, rolled back, torn or emptied', async () => {
    const { store, acquire, within, pass } = world();
    const earlier = await acquire('march');
    const snapshot = store.snapshot();
    await within(earlier.release());
    const lock = await acquire('april');
    for (const hurt of [
      () => store.failNext('before'),
      () => store.failNext('after'),
      () => store.tearNext(),
      () => store.clear(),
      () => store.restore(snapshot),
    ]) {
      hurt();
      await pass(LEASE_MS + 1_000);
      await within(lock.hold());
      await pass(LEASE_MS);
      await expect(acquire('may')).rejects.toThrow(ReplayRunning);
    }
    store.setAvailable(false);
    await pass(LEASE_MS + 1_000);
    let held = false;
    const holding = lock.hold().then(() => {
      held = true;
    });
    await pass(2_000);
    expect(held, 'nothing is sent while nobody can tell').toBe(false);
    store.setAvailable(true);
    await within(holding);
  });
});
