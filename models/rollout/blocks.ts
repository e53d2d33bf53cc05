/**
 * Cuts rows into blocks of event time: cells of `blockMs` counted from the epoch, one after another until there are
 * `minRows`. Which rows share a block is a function of their times alone, not of how they arrive in batches.
 *
 *     cells     |  700 rows  |  12 rows  |  9 rows  |  800 rows  |      minRows = 200
 *     blocks    [     1      ][            2                     ]
 */
export interface Block {
  /** Sums of what was added, one a column. Whole numbers, so that no order of adding changes a bit. */
  readonly sums: number[];
  rows: number;
  /** Start of the latest cell, epoch ms. */
  cell: number;
}

/**
 * A block goes on over the next cells until it has so many rows: sums of fewer are skewed where a version is seldom wrong
 * but then badly, and the first losses would come too late to be bet against.
 */
export const MIN_BLOCK_ROWS = 200;

/** Plain data. */
export interface BlockCut {
  readonly blockMs: number;
  readonly minRows: number;
  /** Rows below this time come too late: their block was closed. Epoch ms. */
  closedTo: number;
  open: Block | null;
  /** Rows that came too late. */
  late: number;
}

export type Close = (block: Block, end: number) => void;

/** The block that a row of this time belongs to; null if it comes too late. Blocks that end before it are closed first. */
export function blockOf(cut: BlockCut, time: number, columns: number, close: Close): Block | null {
  if (time < cut.closedTo) {
    cut.late++;
    return null;
  }
  const cell = Math.floor(time / cut.blockMs) * cut.blockMs;
  if (cut.open !== null && cell > cut.open.cell) settle(cut, cell, close);
  if (cut.open === null) cut.open = { sums: new Array<number>(columns).fill(0), rows: 0, cell };
  else if (cell > cut.open.cell) cut.open.cell = cell;
  return cut.open;
}

/** Closes the open block if it is full and ends by `completeTo`, below which every row has come. */
export function settle(cut: BlockCut, completeTo: number, close: Close): void {
  const { open } = cut;
  if (open === null || open.rows < cut.minRows) return;
  const end = open.cell + cut.blockMs;
  if (end > completeTo) return;
  cut.open = null;
  cut.closedTo = end;
  close(open, end);
}

export function copyCut(cut: BlockCut): BlockCut {
  return { ...cut, open: cut.open === null ? null : { ...cut.open, sums: [...cut.open.sums] } };
}

/** @param blockMs ms, above 0. */
export function startCut(blockMs: number, minRows: number, startedAt: number): BlockCut {
  if (!(blockMs > 0)) throw new RangeError(`A block has a length above 0 ms, not ${blockMs}.`);
  return { blockMs, minRows, closedTo: startedAt, open: null, late: 0 };
}
