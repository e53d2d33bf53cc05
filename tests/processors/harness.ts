import { expect } from 'vitest';
import { compactLog } from '../../processors/compact.ts';
import { Folder } from '../../processors/fold.ts';
import { type AsOf, createReader, NO_LIMITS, type ReadRequest } from '../../processors/read.ts';
import { sketchResolutionOf } from '../../processors/window.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import { headOf } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';

/** A seeded stream of numbers in [0, 1), so that one drawn number decides a whole history of batches. */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function shuffled<T>(items: readonly T[], next: () => number): T[] {
  const copy = [...items];
  for (let k = copy.length - 1; k > 0; k -= 1) {
    const other = Math.floor(next() * (k + 1));
    [copy[k], copy[other]] = [copy[other] as T, copy[k] as T];
  }
  return copy;
}

/** The young edges that a request at `time` asks for, at the view's resolution and at its sketches' (NaN without). */
export function headsOf(view: View, time: number): { readonly head: number; readonly sketchHead: number } {
  const sketches = sketchResolutionOf(view);
  return {
    head: headOf(time, view.readDelay, view.resolution),
    sketchHead: Number.isNaN(sketches) ? Number.NaN : headOf(time, view.readDelay, sketches),
  };
}

export type Logs = Array<Uint8Array | null>;

export function append(logs: Logs, set: number, bytes: Uint8Array): void {
  const known = logs[set] ?? new Uint8Array(0);
  const joined = new Uint8Array(known.length + bytes.length);
  joined.set(known);
  joined.set(bytes, known.length);
  logs[set] = joined;
}

/** The logs of one entity after its contributions came in batches cut by `next`, compacted after some. */
export function logsOf(
  view: View,
  contributions: readonly Contribution[],
  next: () => number,
  compactAt: () => number | null = () => null,
): Logs {
  const logs: Logs = view.sets.map(() => null);
  const folder = new Folder(view);
  const flush = () => {
    for (const { set, bytes } of folder.drain()) append(logs, set, bytes);
    const oldest = compactAt();
    if (oldest === null) return;
    for (const [k, set] of view.sets.entries()) {
      const log = logs[k] ?? null;
      if (log !== null) logs[k] = compactLog(view, set, log, oldest);
    }
  };
  for (const contribution of contributions) {
    folder.add(contribution);
    if (next() < 0.2) flush();
  }
  flush();
  return logs;
}

export function readLogs(view: View, logs: Logs, request: ReadRequest, asOf: AsOf): number[] {
  const out = new Float64Array(view.features.length).fill(12345);
  expect(createReader(view).read(logs, request, asOf, NO_LIMITS, out, 0)).toBe('ok');
  return [...out];
}

/** The same numbers to the bit, and null where the other is null. */
export function expectSameBits(view: View, got: readonly number[], wanted: readonly number[]): void {
  for (const [k, feature] of view.features.entries())
    if (!Object.is(got[k], wanted[k]))
      expect.fail(`${feature.name}: ${got[k]} is not the same number as ${wanted[k]}`);
}

/** Within what each aggregation promises of the exact answer. */
export function expectClose(
  view: View,
  got: readonly number[],
  exact: readonly number[],
  magnitude: number,
): void {
  for (const [k, feature] of view.features.entries()) {
    const a = got[k] as number;
    const b = exact[k] as number;
    let tolerance = 1e-9 * Math.abs(b);
    const set = view.sets[feature.set];
    if (feature.aggregation === 'distinct') {
      const precision = set?.sketches[feature.columns[0] as number]?.precision ?? 11;
      tolerance = 1 + 5 * (1.04 / Math.sqrt(2 ** precision)) * b;
    } else if (feature.aggregation === 'quantile')
      tolerance = ((set?.sketches[feature.columns[0] as number]?.alpha ?? 0.01) + 1e-9) * Math.abs(b);
    // Decayed sums add floats of both signs: what cancels cannot be asked for.
    else if (feature.aggregation.startsWith('decayed')) tolerance += 1e-12 * magnitude;
    const same = Number.isNaN(a) ? Number.isNaN(b) : Math.abs(a - b) <= tolerance;
    if (!same) expect.fail(`${feature.name}: ${a} instead of ${b}`);
  }
}
