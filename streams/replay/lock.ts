import { randomUUID } from 'node:crypto';
import type { CommitResult, OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys } from '../../schemas/names.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { HeldKey } from '../runtime/held-key.ts';
import { isTorn } from '../runtime/state.ts';
import { ReplayRunning, ReplayTaken } from './errors.ts';

/** The lock expires so long after it was last renewed, ms of wall time. */
export const LOCK_TTL_MS = 10_000;
/** Nothing is sent where the last renewal is older than this, ms: then another process may have taken the lock. */
export const LEASE_MS = 5_000;
/** What a process that takes the lock from another waits beyond the lease, ms: for a send that was under way. */
const SPARE_MS = 1_000;
const RENEW_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 500;
/** How long a store that is away is waited for, ms, before a lock cannot be had. */
const ACQUIRE_WITHIN_MS = 10_000;

/** Holder of a lock that was let go. */
const FREE = '';

interface Held {
  readonly format: 1;
  readonly replay: string;
  readonly holder: string;
  /** Wall clock of the holder, epoch ms. */
  readonly renewedAt: number;
}

export interface LockDeps {
  readonly store: Pick<OnlineStore, 'read' | 'commit'>;
  readonly clock: Clock;
}

/**
 * Keeps a second replay from the raw topics of a project: each would move the clocks past the other's events. The lock names its
 * replay and is renewed while that runs. The same name may take it from another process; that one stops within the lease, and the
 * new one waits so long.
 */
export class ReplayLock {
  readonly #deps: LockDeps;
  readonly #prefix: string;
  readonly #name: string;
  readonly #held: HeldKey;
  readonly #holder = randomUUID();
  #bytes: Uint8Array | null = null;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #lost: ReplayTaken | null = null;
  #renewing: Promise<void> | null = null;
  #closed = false;

  private constructor(deps: LockDeps, prefix: string, name: string) {
    this.#deps = deps;
    this.#prefix = prefix;
    this.#name = name;
    this.#held = new HeldKey(deps.store, keys.replay(prefix), LOCK_TTL_MS);
  }

  /** Throws ReplayRunning where another replay holds it, and StoreError where the store stays away. */
  static async acquire(deps: LockDeps, prefix: string, name: string): Promise<ReplayLock> {
    const lock = new ReplayLock(deps, prefix, name);
    const until = deps.clock.now() + ACQUIRE_WITHIN_MS;
    while (!(await lock.#retried(() => lock.#acquire(), until)));
    void lock.#keep();
    return lock;
  }

  /** Resolves once the lock is held for a while longer. Throws ReplayTaken where another process holds it. */
  async hold(): Promise<void> {
    while (this.#lost === null && this.#deps.clock.now() - this.#renewedAt >= LEASE_MS)
      await this.#retried(() => this.#renewOnce(), Number.POSITIVE_INFINITY);
    if (this.#lost !== null) throw this.#lost;
  }

  /** The next replay may begin at once. Where this fails the lock expires by itself. */
  async release(): Promise<void> {
    this.#closed = true;
    await this.#renewing?.catch(() => {});
    const { clock } = this.#deps;
    const free = async () => this.#lost !== null || (await this.#set(this.#bytes, FREE));
    await this.#retried(free, clock.now() + LEASE_MS).catch(() => {});
  }

  /** False where the store has changed meanwhile. */
  async #acquire(): Promise<boolean> {
    const { clock } = this.#deps;
    const found = await this.#held.read();
    if (found === null) return (await this.#set(null)) === 'committed';
    if (isTorn(found)) {
      // Whoever holds it mends it when it renews.
      await clock.sleep(LEASE_MS);
      return (await this.#set(found)) === 'committed';
    }
    const { replay, holder, renewedAt } = decode(found);
    if (holder === FREE) return (await this.#set(found)) === 'committed';
    if (replay !== this.#name) throw this.#refusal(replay, renewedAt);
    if ((await this.#set(found)) !== 'committed') return false;
    // Its process may still be at work, and finds out when it renews.
    await clock.sleep(LEASE_MS + SPARE_MS);
    return true;
  }

  #refusal(replay: string, renewedAt: number): ReplayRunning {
    const agoMs = Math.max(0, this.#deps.clock.now() - renewedAt);
    return new ReplayRunning(
      `The replay '${replay}' runs under the prefix ${this.#prefix} (last heard of ${Math.round(agoMs / 100) / 10} s ago), and a second one beside it would make events late: nothing was sent. Wait for its end, or stop it with Ctrl-C; if its process has died, its lock expires within ${LOCK_TTL_MS / 1_000} s. To go on with that replay itself, name it: millrace replay --name ${replay}.`,
    );
  }

  async #keep(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#closed && this.#lost === null) {
      await clock.sleep(LOOK_EVERY_MS);
      if (this.#closed || clock.now() - this.#renewedAt < RENEW_EVERY_MS) continue;
      try {
        await this.#renewOnce();
      } catch (error) {
        // What the world mends is tried again; the rest is found by `hold`, in its caller's time.
        if (!(error instanceof MillraceError) || !error.retriable) return;
      }
    }
  }

  #renewOnce(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  /** Renews, or finds that the lock is lost. A store that was rolled back knows an older state of it, or none. */
  async #renew(): Promise<void> {
    if ((await this.#set(this.#bytes)) === 'committed') return;
    const found = await this.#held.read();
    const ours = found === null || isTorn(found) || decode(found).holder === this.#holder;
    if (!ours) {
      await this.#deps.clock.sleep(LEASE_MS);
      const again = await this.#held.read();
      if (again !== null && Buffer.compare(again, found) !== 0) {
        this.#lost = new ReplayTaken(
          `Another process took over the replay '${this.#name}' of ${this.#prefix}, so this one has stopped; nothing is lost.`,
        );
        return;
      }
    }
    await this.#set(found);
  }

  async #set(expected: Uint8Array | null, holder: string = this.#holder): Promise<CommitResult['status']> {
    const now = this.#deps.clock.now();
    const held: Held = { format: 1, replay: this.#name, holder, renewedAt: now };
    const next = Buffer.from(JSON.stringify(held));
    const status = await this.#held.set(expected, next);
    if (status !== 'committed') return status;
    this.#bytes = next;
    this.#renewedAt = now;
    return status;
  }

  async #retried<T>(work: () => Promise<T>, until: number): Promise<T> {
    const { clock } = this.#deps;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const mendable =
          error instanceof MillraceError && error.retriable && !(error instanceof ReplayRunning);
        if (!mendable || clock.now() >= until) throw error;
        await clock.sleep(LOOK_EVERY_MS);
      }
    }
  }
}

function decode(bytes: Uint8Array): Held {
  return JSON.parse(Buffer.from(bytes).toString()) as Held;
}
