/**
 * The log of an entity: what its bytes mean is told in log-layout.ts, how they are merged in compact.ts.
 */
export { CorruptState, UnknownStateFormat } from './bytes.ts';
export { compactLog, compactTiles, type DecodedTiles } from './compact.ts';
export { type LogInfo, logInfo, wantsCompaction } from './log-layout.ts';
