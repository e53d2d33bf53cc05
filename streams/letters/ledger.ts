import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';

/** Which letter: the place of its record in the raw topic of its source. */
export interface LetterPlace {
  readonly partition: number;
  readonly offset: number;
}

export const placeOf = ({ partition, offset }: LetterPlace) => `${partition}:${offset}`;

const REPLAY_STATES = ['begun', 'sent', 'history'] as const;
export type ReplayState = (typeof REPLAY_STATES)[number];

/** What is known of a letter that was to come back. */
export interface Entry extends LetterPlace {
  readonly state: ReplayState;
  readonly eventId: string;
  readonly tries: number;
  readonly rawPartition: number;
  readonly rawFrom: number;
  readonly fix: string;
  readonly reason: string;
  readonly who: string;
}

/**
 * The book of letters that came back, one row a letter, in the warehouse. A letter is `begun` before it is sent, with the end of its raw
 * partition, and `sent` once that is acknowledged: after a crash between the two the raw topic itself says which.
 */
export class Ledger {
  readonly #warehouse: Warehouse;
  readonly #table: string;
  readonly #source: string;

  constructor(warehouse: Warehouse, prefix: string, source: string) {
    this.#warehouse = warehouse;
    this.#table = tables.letterReplays(prefix);
    this.#source = source;
  }

  /** Letters that were begun and of which nobody knows whether they were sent, by place. Throws WarehouseError. */
  async begun(): Promise<ReadonlyMap<string, Entry>> {
    const rows = await this.#warehouse.query<Entry>(
      `SELECT source_partition AS partition, source_offset AS offset, state, event_id AS eventId, tries,
         raw_partition AS rawPartition, raw_from AS rawFrom, fix, reason, who
       FROM ${quoteName(this.#table)} FINAL WHERE source = {source:String} AND state = 'begun'`,
      { source: this.#source },
    );
    return new Map(rows.map((row) => [placeOf(row), row]));
  }

  /** Throws WarehouseError. `at`: wall time, epoch ms; of two rows of a letter the later one counts. */
  async write(entries: readonly Entry[], at: number): Promise<void> {
    const [first] = entries;
    if (first === undefined) return;
    const rows = entries.map((entry) => ({
      source: this.#source,
      source_partition: entry.partition,
      source_offset: entry.offset,
      state: entry.state,
      event_id: entry.eventId,
      tries: entry.tries,
      raw_partition: entry.rawPartition,
      raw_from: entry.rawFrom,
      fix: entry.fix,
      reason: entry.reason,
      who: entry.who,
      at: new Date(at).toISOString(),
    }));
    const token = `letters ${this.#source} ${placeOf(first)} ${entries.length} ${first.state} ${at}`;
    await retrying(() => this.#warehouse.insert(this.#table, rows, { token }));
  }
}
