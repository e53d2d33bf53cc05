import { beforeEach, describe, expect, it } from 'vitest';
import type { InferenceContext } from '../../../streams/inference/context.ts';
import { RequestQueue } from '../../../streams/inference/requests.ts';
import { writeHints } from '../../../streams/inference/write-hints.ts';

const T = Date.UTC(2026, 0, 1);
const DISORDER = 1_000;

describe('what a model may still ask for', () => {
  let written: ReadonlyMap<number, number>;
  /** What the next look finds. */
  let frontier: number;
  let atEnd: Array<number | null> | Error;
  let seen = Number.NEGATIVE_INFINITY;
  const queue = new RequestQueue(
    { topic: 'validated', partition: 0 },
    { next: 5, answered: 4, replayed: false, shadowed: new Map() },
  );

  const context = {
    project: { sources: [{ name: 'trips', outOfOrderness: DISORDER }] },
    model: { request: { source: 'trips' } },
    frontiers: {
      least: () => seen,
      look: async () => {
        seen = frontier;
      },
    },
    hints: {
      write: async (least: ReadonlyMap<number, number>) => {
        written = least;
      },
    },
    consumer: {
      atEnd: async () => {
        if (atEnd instanceof Error) throw atEnd;
        return atEnd;
      },
    },
  } as unknown as InferenceContext;

  beforeEach(() => {
    written = new Map();
    seen = frontier = T;
    atEnd = [5];
    queue.ended = true;
  });

  it('is the frontier where a partition holds no request, whatever the clock says: ingest may be away', async () => {
    expect(await writeHints(context, [queue])).toBe(false);
    expect(written).toEqual(new Map([[0, T - DISORDER]]));
  });

  it('is not known where something came after the frontiers were read, or the broker does not tell', async () => {
    for (const answer of [[null], new Error('away')]) {
      atEnd = answer;
      await writeHints(context, [queue]);
      expect(written).toEqual(new Map([[0, Number.NEGATIVE_INFINITY]]));
    }
  });

  it('is told again soon where frontiers come far further beside a quiet partition', async () => {
    frontier = T + 60_000;
    expect(await writeHints(context, [queue])).toBe(true);
    expect(await writeHints(context, [queue])).toBe(false);
    queue.ended = false;
    frontier = T + 120_000;
    expect(await writeHints(context, [queue])).toBe(false);
  });
});
