import { oldestExactHeadOf } from './log-layout.ts';
import type { Tiles } from './tiles.ts';

/** A log whose tiles are kept decoded. */
export interface DecodedLog {
  readonly tiles: Pick<Tiles, 'fill'>;
  readonly oldestExactHead: number;
}

/** The log of one entity and tile set, as a reader takes it. */
export type Log = Uint8Array | DecodedLog;

/** A read as of an older edge than this is refused; -Infinity where the log has none. */
export const oldestExactHead = (log: Log): number =>
  log instanceof Uint8Array ? oldestExactHeadOf(log) : log.oldestExactHead;
