import { cursor, wideSigned, wideUnsigned } from './bytes.ts';
import { addSquare, LAST, LIMBS, MAX, MIN, type RowLayout, SQUARE, SUM } from './columns.ts';
import { cutShort, firstStart, LogWalk, ONE_TILE, unknownFormat } from './log-layout.ts';
import { type Cuts, scanNumeric } from './scan.ts';

/** Adds every tile of a log of numeric tiles to its row, while decoding: nothing is made per tile. */
export type Scan = (log: Uint8Array, levels: Float64Array, cuts: Cuts, rows: Float64Array) => void;

/** Beyond this a generated function would be too long for the engine to optimise. */
const MOST_INPUTS = 40;

/**
 * `scanNumeric` written out for one layout: no loop over inputs, no question which columns there are. It reads in
 * half the time, and decoding is most of a read. Nothing but numbers of the layout goes into the text. Where
 * the process forbids making functions from text, or the layout is very wide, it is `scanNumeric` itself.
 */
export function compileScan(layout: RowLayout): Scan {
  const plain: Scan = (log, levels, cuts, rows) => scanNumeric(log, levels, layout, cuts, rows);
  if (layout.inputs.length > MOST_INPUTS || layout.inputs.length === 0) return plain;
  try {
    const make = new Function(...Object.keys(HELPERS), scanText(layout)) as (...helpers: unknown[]) => Scan;
    return make(...Object.values(HELPERS));
  } catch (error) {
    if (error instanceof EvalError) return plain;
    throw error;
  }
}

const HELPERS = {
  cursor,
  wideSigned,
  wideUnsigned,
  addSquare,
  firstStart,
  cutShort,
  unknownFormat,
  walk: new LogWalk(),
};

/** Reads an unsigned integer into `b`. */
const UNSIGNED = `b = log[at++];
  if (b >= 128) {
    h = log[at++];
    if (h < 128) b = (b & 127) | (h << 7);
    else { b = wideUnsigned(log, at - 2); at = cursor.at; }
  }`;

/** Reads a signed integer into `b`. */
const SIGNED = `b = log[at++];
  if (b >= 64) {
    h = log[at];
    if (b >= 128 && b < 192 && h < 128) { b = (b & 63) | (h << 6); at++; }
    else { b = wideSigned(log, at - 1); at = cursor.at; }
  }`;

/** Keeps the later of what a row has and (`t`, `b`). */
const last = (slot: number) => `t = start + ((t & 1) === 1 ? (t >>> 1) * 1000 : t / 2);
  if (t > rows[o + ${slot}] || (t === rows[o + ${slot}] && b > rows[o + ${slot + 1}])) {
    rows[o + ${slot}] = t;
    rows[o + ${slot + 1}] = b;
  }`;

/** One value, from which all columns follow. */
function singleText(slot: number, part: number): string {
  let text = `rows[o + ${slot}] += 1;`;
  if (part === 0) return text;
  text += SIGNED;
  let next = slot + 1;
  if (part & SUM) text += `rows[o + ${next++}] += b;`;
  if (part & SQUARE) text += `rows[o + ${next++}] += b * b;`;
  if (part & LIMBS) {
    text += `addSquare(rows, o + ${next}, b);`;
    next += 2;
  }
  if (part & MIN) text += `if (b < rows[o + ${next}]) rows[o + ${next}] = b;`;
  if (part & MIN) next += 1;
  if (part & MAX) text += `if (b > rows[o + ${next}]) rows[o + ${next}] = b;`;
  if (part & MAX) next += 1;
  if (part & LAST) text += `v = b; ${UNSIGNED} t = b; b = v; ${last(next)}`;
  return text;
}

/** A count `n`, already read, and each column. */
function manyText(slot: number, part: number): string {
  let text = `rows[o + ${slot}] += n;`;
  let next = slot + 1;
  if (part & SUM) text += `${SIGNED} rows[o + ${next++}] += b;`;
  if (part & SQUARE) text += `${UNSIGNED} rows[o + ${next++}] += b;`;
  if (part & LIMBS) {
    text += `${UNSIGNED} rows[o + ${next}] += b; ${UNSIGNED} rows[o + ${next + 1}] += b;`;
    next += 2;
  }
  if (part & MIN) text += `${SIGNED} if (b < rows[o + ${next}]) rows[o + ${next}] = b;`;
  if (part & MIN) next += 1;
  if (part & MAX) text += `${SIGNED} if (b > rows[o + ${next}]) rows[o + ${next}] = b;`;
  if (part & MAX) next += 1;
  if (part & LAST) text += `${UNSIGNED} t = b; ${SIGNED} ${last(next)}`;
  return text;
}

/** The same steps as scanNumeric and addNumericTile, in the same order. */
function scanText(layout: RowLayout): string {
  const inputs = [...layout.inputs.keys()].map((i) => {
    const slot = layout.at[i] as number;
    const part = layout.parts[i] as number;
    return `
      s = flags === 2 ? (log[states + ${i >> 2}] >> ${(i & 3) * 2}) & 3 : all;
      if (s === 1) { ${singleText(slot, part)} }
      else if (s !== 0) {
        if (flags !== 3) { ${UNSIGNED} n = b; }
        ${manyText(slot, part)}
      }`;
  });
  return `'use strict';
return function scan(log, levels, cuts, rows) {
  const bounds = cuts.bounds;
  const length = log.length;
  const finest = levels[0];
  let row = 0, at = 0, b = 0, h = 0, v = 0, t = 0, s = 0, n = 0;
  walk.begin();
  for (;;) {
    let step = finest, tiles = 1;
    if (log[at] === ${ONE_TILE}) at++;
    else {
      walk.at = at;
      if (!walk.nextRun(log)) return;
      step = levels[walk.level];
      if (step === undefined) throw unknownFormat(log[0]);
      tiles = walk.tiles;
      at = walk.at;
    }
    let start = 0;
    for (let k = 0; k < tiles; k++) {
      ${UNSIGNED}
      start = k === 0 ? firstStart(b, step) : start + ((b >>> 2) + 1) * step;
      const flags = k === 0 ? b % 4 : b & 3;
      while (start >= bounds[row]) row++;
      while (row > 0 && start < bounds[row - 1]) row--;
      const o = row * ${layout.width};
      const states = at;
      const all = flags === 0 ? 1 : 2;
      if (flags === 2) at += ${(layout.inputs.length + 3) >> 2};
      else if (flags === 3) { ${UNSIGNED} n = b; }
      ${inputs.join('')}
      if (at > length) throw cutShort();
    }
  }
};`;
}
