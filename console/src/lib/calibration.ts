import { newest } from './quality.ts';
import type { Measure } from './types.ts';

/** A part of the requests of a window, in the order of their scores. */
export interface CurvePoint {
  readonly rows: number;
  /** Mean score. */
  readonly meanScore: number;
  /** Share whose label is true. */
  readonly rate: number;
}

export interface Curve {
  readonly version: number;
  /** Event times of the window, epoch ms. */
  readonly from: number;
  readonly to: number;
  readonly points: readonly CurvePoint[];
}

function pointsOf({ detail }: Measure): readonly CurvePoint[] {
  const curve = (detail as { curve?: unknown } | null)?.curve;
  return Array.isArray(curve) ? (curve as CurvePoint[]) : [];
}

/** The calibration curve of the newest window of each version that has one, that of most requests first. */
export function curvesOf(measures: readonly Measure[]): readonly Curve[] {
  const curves = new Map<number, Curve>();
  for (const one of newest(measures)) {
    if (one.statistic !== 'calibration_error' || one.slice !== '') continue;
    const points = pointsOf(one);
    const { version, from, to } = one;
    if (points.length > 0 && (curves.get(version)?.to ?? 0) < to)
      curves.set(version, { version, from, to, points });
  }
  return [...curves.values()].sort((a, b) => requestsOf(b) - requestsOf(a) || a.version - b.version);
}

const requestsOf = ({ points }: Curve): number => points.reduce((sum, { rows }) => sum + rows, 0);

/** The largest score or rate, rounded up to a tenth: most models never come near 1. */
export function reachOf({ points }: Curve): number {
  const most = Math.max(0, ...points.flatMap(({ meanScore, rate }) => [meanScore, rate]));
  return Math.max(0.1, Math.ceil(most * 10) / 10);
}
