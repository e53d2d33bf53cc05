import type { Sender } from '../../infrastructure/alerting/sender.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { type Delivery, type Silence, silenceOf } from '../../models/alerting/deliveries.ts';
import type { DeliveryRule } from '../../schemas/alert.ts';
import type { Clock } from '../../schemas/clock.ts';
import { tables } from '../../schemas/names.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Telemetry } from '../../streams/runtime/telemetry.ts';
import { readSilences } from '../alerts/silences.ts';

/** When a delivery is tried again, and when it is given up. */
export interface DeliveryLimits {
  /** Before the second try; doubled for each further one, ms. Half of it is left to chance. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly tries: DeliveryRule['tries'];
  readonly giveUpAfter: DeliveryRule['giveUpAfter'];
}

export const DELIVERY_PAUSES = { firstPauseMs: 1_000, longestPauseMs: 300_000 } as const;

/** A receiver asked for patience; longer than that is not granted. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;
/** A sleep does not hear the signal to stop. */
const SLICE_MS = 200;

export interface DelivererDeps {
  readonly prefix: string;
  readonly warehouse: Pick<Warehouse, 'query' | 'insert'>;
  readonly sender: Sender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly limits: DeliveryLimits;
  /** 0 <= x < 1 */
  readonly random: () => number;
}

export interface Deliverer {
  /** True once the delivery needs no more: it arrived, is silenced, or was given up, and that is written down. False where the signal came first. */
  deliver(delivery: Delivery, signal: AbortSignal): Promise<boolean>;
  /** Without those that are silenced now. */
  unsilenced(delivery: Delivery): Promise<Delivery>;
}

interface Ending {
  readonly status: 'delivered' | 'silenced' | 'refused';
  readonly tries: number;
  readonly detail: string;
  readonly alerts: readonly string[];
}

/**
 * One delivery from its first try to its end. ClickHouse says which deliveries have ended and what is silenced; while
 * it is away alerts go out all the same, by the silences last read, and only their end waits to be written down.
 */
export function createDeliverer(deps: DelivererDeps): Deliverer {
  const { prefix, warehouse, sender, clock, telemetry, limits, random } = deps;
  let silences: readonly Silence[] = [];

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    for (const until = clock.now() + ms; !signal.aborted && clock.now() < until; )
      await clock.sleep(Math.max(1, Math.min(SLICE_MS, until - clock.now())));
  }

  const pauseAfter = (tries: number, atLeastMs: number | null) => {
    const full = Math.min(limits.firstPauseMs * 2 ** (tries - 1), limits.longestPauseMs);
    return Math.max(full * (0.5 + random() / 2), Math.min(atLeastMs ?? 0, LONGEST_RETRY_AFTER_MS));
  };

  /** Null where the warehouse does not answer. */
  async function asked<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.retriable) throw error;
      telemetry.failure('delivery', error);
      return null;
    }
  }

  async function hasEnded({ id, receiver }: Delivery): Promise<boolean> {
    const rows = await asked(() =>
      warehouse.query<{ id: string }>(
        `SELECT id FROM ${quoteName(tables.deliveries(prefix))} WHERE id = {id:String} AND receiver = {receiver:String} LIMIT 1`,
        { id, receiver },
      ),
    );
    return (rows?.length ?? 0) > 0;
  }

  async function unsilenced(delivery: Delivery): Promise<Delivery> {
    const now = clock.now();
    silences = (await asked(() => readSilences(warehouse, prefix, now))) ?? silences;
    return { ...delivery, changes: delivery.changes.filter((one) => silenceOf(silences, one, now) === null) };
  }

  async function untilEnded(delivery: Delivery, signal: AbortSignal): Promise<Ending | null> {
    const since = clock.now();
    let rejected = 0;
    for (let tries = 1; !signal.aborted; tries += 1) {
      const told = await unsilenced(delivery);
      const alerts = told.changes.map(({ id }) => id);
      const hidden = delivery.changes.length - alerts.length;
      const detail = hidden === 0 ? '' : `${hidden} of ${delivery.changes.length} silenced`;
      if (alerts.length === 0)
        return { status: 'silenced', tries: tries - 1, detail, alerts: delivery.changes.map(({ id }) => id) };
      const started = performance.now();
      let sent: Awaited<ReturnType<Sender['send']>>;
      try {
        sent = await sender.send(told, signal);
      } catch (error) {
        if (signal.aborted) return null;
        throw error;
      }
      telemetry.step('delivery', 'post', performance.now() - started, alerts.length);
      if (sent.kind === 'delivered') return { status: 'delivered', tries, detail, alerts };
      if (sent.kind === 'never') return { status: 'refused', tries, detail: sent.reason, alerts };
      if (sent.kind === 'rejected') {
        rejected += 1;
        if (rejected >= limits.tries) return { status: 'refused', tries, detail: sent.reason, alerts };
      } else if (clock.now() - since >= limits.giveUpAfter)
        return { status: 'refused', tries, detail: `Given up after ${tries} tries. ${sent.reason}`, alerts };
      telemetry.note('delivery', 'a receiver did not take a delivery; it is tried again', {
        receiver: delivery.receiver,
        delivery: delivery.id,
        tries,
        reason: sent.reason,
      });
      await pause(pauseAfter(tries, sent.kind === 'again' ? sent.afterMs : null), signal);
    }
    return null;
  }

  async function writeDown(
    { id, receiver }: Delivery,
    ending: Ending,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { status, tries, detail, alerts } = ending;
    const row = { id, receiver, alerts, status, tries, detail, at: new Date(clock.now()).toISOString() };
    for (let failures = 1; !signal.aborted; failures += 1) {
      const done = await asked(async () => {
        await warehouse.insert(tables.deliveries(prefix), [row], { token: `${id} ${receiver} ${status}` });
        return true;
      });
      if (done === true) return true;
      await pause(pauseAfter(failures, null), signal);
    }
    return false;
  }

  return {
    unsilenced,
    async deliver(delivery, signal) {
      if (await hasEnded(delivery)) return true;
      const ending = await untilEnded(delivery, signal);
      if (ending === null) return false;
      const { receiver } = delivery;
      if (ending.status === 'refused') {
        telemetry.refused('delivery', 'receiver_refused', ending.alerts.length);
        telemetry.note('delivery', 'a delivery was given up', { receiver, reason: ending.detail });
      }
      return writeDown(delivery, ending, signal);
    },
  };
}
