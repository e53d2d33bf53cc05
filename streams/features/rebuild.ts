import { randomUUID } from 'node:crypto';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { StateNeedsBackfill } from '../../processors/apply-block.ts';
import { REBUILD } from '../../processors/meta.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys } from '../../schemas/names.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { SECOND } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { backfillState } from '../history/backfill.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { HeldKey } from '../runtime/held-key.ts';
import { viewPartitions } from '../runtime/partitions.ts';
import { wholeMeta } from '../runtime/state.ts';
import { Waits } from '../runtime/waits.ts';
import type { StateDeps } from './begin-state.ts';

/** An operator's backfill writes its sections first and its states after them: it is left so long to begin, ms. */
const REBUILD_AFTER_MS = 15 * SECOND;
const TELL_EVERY_MS = 10 * SECOND;
const LOCK_MS = 15 * SECOND;
const RENEW_EVERY_MS = 3 * SECOND;

export type RebuildDeps = StateDeps & {
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly warehouse?: Warehouse;
  readonly rebuildAfterMs?: number;
};

/** A rebuild whose process is gone: its state says that it is written, and nobody holds the lock of the view. */
export async function isAbandoned(
  { project, store }: StateDeps,
  view: View,
  bytes: Uint8Array | null,
): Promise<boolean> {
  const meta = wholeMeta(bytes);
  if (meta?.status !== 'building' || !meta.life.startsWith(REBUILD)) return false;
  const [[lock = null] = []] = await store.read([[keys.rebuild(project.prefix, view.id)]]);
  return lock === null;
}

/** Builds states that were lost, and that Kafka alone cannot make again, from the archive: one process a view. */
export class Rebuilder {
  readonly #deps: RebuildDeps;
  readonly #since = new Map<string, number>();

  constructor(deps: RebuildDeps) {
    this.#deps = deps;
  }

  /** Throws the error that names the command where it is too early, another process is at it, or the archive cannot give the state. */
  async rebuild(needed: StateNeedsBackfill, signal: AbortSignal): Promise<void> {
    const { warehouse, clock, store, project, telemetry, rebuildAfterMs = REBUILD_AFTER_MS } = this.#deps;
    const since = this.#since.get(needed.view) ?? clock.now();
    this.#since.set(needed.view, since);
    const view = project.views.find(({ id }) => id === needed.view);
    if (warehouse === undefined || view === undefined || clock.now() - since < rebuildAfterMs) throw needed;
    const lock = new Lock(store, keys.rebuild(project.prefix, view.id));
    if (!(await lock.take())) throw needed;
    const renewing = setInterval(() => void lock.renew(), RENEW_EVERY_MS);
    telemetry.note('features', 'rebuilding from the archive', { view: view.id, until: needed.until });
    try {
      const events = await this.#build(view, needed, warehouse, signal);
      this.#since.delete(needed.view);
      telemetry.note('features', 'rebuilt from the archive', { view: view.id, events });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof MillraceError)) throw error;
      const why = `It cannot be built from the archive by itself now: ${error.message}`;
      throw new StateNeedsBackfill(needed, `${needed.message} ${why}`, { cause: error });
    } finally {
      clearInterval(renewing);
      await lock.release().catch(() => {});
    }
  }

  async #build(
    view: View,
    { until, whole }: StateNeedsBackfill,
    warehouse: Warehouse,
    signal: AbortSignal,
  ): Promise<number> {
    const { clock, telemetry } = this.#deps;
    const waits = new Waits('features', clock, telemetry);
    let toldAt = clock.now();
    try {
      const { events } = await backfillState({
        ...this.#deps,
        warehouse,
        views: [view],
        partitions: await this.#lost(view),
        to: until,
        rebuild: true,
        whole,
        signal,
        progress: (done) => {
          if (done.step !== 'fold') return;
          const time = new Date(done.time).toISOString();
          waits.note(
            'archive',
            view.id,
            () => `View ${view.id} is built again from the archive, now at ${time}.`,
          );
          if (clock.now() - toldAt < TELL_EVERY_MS) return;
          toldAt = clock.now();
          telemetry.note('features', 'rebuilding', { view: view.id, events: done.events, time });
        },
      });
      return events;
    } finally {
      waits.endAll('archive');
    }
  }

  /** Partitions of a view that hold no history, whoever owns them. */
  async #lost(view: View): Promise<number[]> {
    const { project, store } = this.#deps;
    const all = viewPartitions(project.prefix, view);
    const found = await store.read(all.map(({ key }) => [keys.meta(key)]));
    const lost = all.filter(({ partition }) => {
      const meta = wholeMeta(found[partition]?.[0] ?? null);
      if (meta === null) return true;
      const { history, life, status } = meta;
      return history === null || (status === 'building' && life.startsWith(REBUILD));
    });
    return lost.map(({ partition }) => partition);
  }
}

/** Held by one process, and for a moment after its end. */
class Lock {
  readonly #store: Pick<OnlineStore, 'remove'>;
  readonly #key: string;
  readonly #held: HeldKey;
  readonly #holder = Buffer.from(randomUUID());

  constructor(store: OnlineStore, key: string) {
    this.#store = store;
    this.#key = key;
    this.#held = new HeldKey(store, key, LOCK_MS);
  }

  async take(): Promise<boolean> {
    return (await this.#held.set(null, this.#holder)) === 'committed';
  }

  /** A renewal that fails is tried again; the states themselves are guarded by compare-and-set. */
  async renew(): Promise<boolean> {
    const status = await this.#held.set(this.#holder, this.#holder).catch(() => null);
    return status === 'committed';
  }

  async release(): Promise<void> {
    if (await this.renew()) await this.#store.remove([this.#key]);
  }
}
