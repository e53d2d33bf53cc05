import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import { tables } from '../../schemas/names.ts';
import { iso } from '../runtime/iso.ts';

/** A clock that the archive has passed: every record before it in its partition is in its table. */
export interface PassedClock {
  readonly topic: string;
  readonly partition: number;
  readonly mark: ClockMark;
  /** Offset of the clock in the archived topic. */
  readonly offset: number;
}

/** Clocks that wait until the rows before them are stored. */
export interface WaitingClocks {
  list: PassedClock[];
  /** When the first of them came, wall clock, ms. */
  since: number;
  /** One of them ends a window of monitoring, or a replay: somebody waits for it. */
  urgent: boolean;
}

export const noClocks = (): WaitingClocks => ({ list: [], since: 0, urgent: false });

/** Of several ticks of a partition that wait together the newest says all; where a replay begins and ends is kept. */
export function addClock(waiting: WaitingClocks, clock: PassedClock): void {
  const last = waiting.list.findLastIndex(
    ({ topic, partition }) => topic === clock.topic && partition === clock.partition,
  );
  const before = waiting.list[last];
  if (before?.mark.kind === 'tick' && clock.mark.kind === 'tick') waiting.list[last] = clock;
  else waiting.list.push(clock);
}

/** Whether a window of one of these lengths, ms, ends between two clocks. */
export function endsWindow(lengths: readonly number[], before: number, clock: number): boolean {
  return lengths.some((every) => Math.floor(clock / every) > Math.floor(before / every));
}

/** The last clock of a partition. */
export interface LastClock {
  /** Event time, epoch ms. */
  readonly clock: number;
  /** Of the archived topic. */
  readonly offset: number;
  /** A replay has begun here and not ended. */
  readonly open: boolean;
  /** When it was written, wall clock, epoch ms. */
  readonly at: number;
}

/** The last clock of each partition of all archived topics, by `topic:partition`. */
export async function readLastClocks(
  warehouse: Warehouse,
  prefix: string,
): Promise<ReadonlyMap<string, LastClock>> {
  const rows = await warehouse.query<{
    topic: string;
    partition: number;
    time: number;
    last: number;
    state: string;
    written: number;
  }>(
    `SELECT topic, partition, argMax(toUnixTimestamp64Milli(clock), archived_offset) AS time,
       max(archived_offset) AS last, argMax(kind, archived_offset) AS state,
       argMax(toUnixTimestamp64Milli(at), archived_offset) AS written
     FROM ${quoteName(tables.progress(prefix))} GROUP BY topic, partition`,
  );
  return new Map(
    rows.map(({ topic, partition, time, last, state, written }) => [
      `${topic}:${partition}`,
      { clock: time, offset: last, open: state === 'first' || state === 'tick', at: written },
    ]),
  );
}

/** Says what was passed. A clock written twice is one row. */
export async function writeClocks(
  warehouse: Warehouse,
  prefix: string,
  clocks: readonly PassedClock[],
  now: number,
): Promise<void> {
  if (clocks.length === 0) return;
  const rows = clocks.map(({ topic, partition, mark, offset }) => ({
    topic,
    partition,
    clock: iso(mark.time),
    kind: mark.replay === null ? 'live' : mark.kind,
    replay: mark.replay ?? '',
    archived_offset: offset,
    at: iso(now),
  }));
  const token = clocks.map(({ topic, partition, offset }) => `${topic}:${partition}:${offset}`).join(' ');
  await warehouse.insert(tables.progress(prefix), rows, { token });
}
