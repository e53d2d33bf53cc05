import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRESH_PROGRESS, type Progress } from '../../processors/lateness.ts';
import { type DecodedRecord, type Segment, workSegment } from '../../processors/segment.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { decoded } from '../streams/decoded.ts';
import { planOf } from '../streams/ingest/process.ts';
import { createPlane } from '../streams/plane.ts';

const plan = planOf(await createPlane());
const T = Date.UTC(2026, 0, 1);

type Records = ReadonlyArray<DecodedRecord<unknown>>;

/** Works a whole log that comes in batches of these sizes. */
function workAll(log: Records, sizes: readonly number[]): Segment<unknown>[] {
  const segments: Segment<unknown>[] = [];
  let progress: Progress = FRESH_PROGRESS;
  let turn = 0;
  for (let at = 0; at < log.length; ) {
    const size = sizes[turn++ % sizes.length] ?? 1;
    const { segment, taken } = workSegment(plan, progress, log.slice(at, at + size));
    segments.push(segment);
    progress = segment.progress;
    at += taken;
  }
  return segments;
}

/** Records in arrival order: events up to ten minutes off their arrival, things that are no events, clocks. */
const logs = fc
  .array(
    fc.record({
      kind: fc.constantFrom('event', 'event', 'event', 'event', 'rubbish', 'clock'),
      off: fc.integer({ min: -2 * MINUTE, max: 8 * MINUTE }),
      gap: fc.integer({ min: 0, max: 20 * SECOND }),
      skipped: fc.integer({ min: 0, max: 2 }),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((all) => {
    let now = T;
    let offset = 0;
    return all.map(({ kind, off, gap, skipped }): DecodedRecord<unknown> => {
      now += gap;
      offset += skipped; // Transaction markers take offsets.
      const times = { appendTime: now, arrivedAt: now };
      const one = decoded(offset++, kind === 'event' ? now - off : null, times);
      if (kind !== 'clock') return one;
      return { ...one, rejected: null, clock: { time: now - off, replay: null, kind: 'tick' } };
    });
  });

describe('a stretch of a raw partition', () => {
  it('means the same however it is cut into batches', () => {
    fc.assert(
      fc.property(logs, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (log, sizes) => {
        const all = (segments: readonly Segment<unknown>[]) => ({
          accepted: segments.flatMap(({ accepted }) => accepted),
          refused: segments.flatMap(({ refused }) => refused),
          clocks: segments.flatMap(({ clock }) => clock ?? []),
          routed: plan.views.map((_, i) =>
            segments.flatMap(({ routed }) => {
              const { contributions = [], partitions = [], after = [] } = routed[i] ?? {};
              return contributions.map((one, k) => [one, partitions[k], after[k]?.runningMax]);
            }),
          ),
          progress: segments.at(-1)?.progress,
        });
        expect(all(workAll(log, sizes))).toEqual(all(workAll(log, [1_000])));
      }),
    );
  });

  it('every record is accepted, refused or a clock, once; a clock ends its segment', () => {
    fc.assert(
      fc.property(logs, fc.integer({ min: 1, max: 9 }), (log, size) => {
        const seen: number[] = [];
        let from = 0;
        for (const { accepted, refused, clock, from: begins, to } of workAll(log, [size])) {
          expect(begins).toBe(from);
          from = to + 1;
          seen.push(...accepted.map(({ offset }) => offset));
          seen.push(...refused.map(({ raw }) => (raw as { offset: number }).offset));
          if (clock !== null) {
            seen.push(clock.offset);
            expect(clock.offset).toBe(to);
          }
        }
        expect(seen.sort((a, b) => a - b)).toEqual(log.map(({ offset }) => offset));
      }),
    );
  });

  it('the progress after a segment is at its last record, stamped with its append time', () => {
    const [first, second] = [decoded(3, T), decoded(7, null, { appendTime: T + 9 })];
    const { segment, taken } = workSegment(plan, FRESH_PROGRESS, [first, second]);
    expect([taken, segment.to, segment.progress.next, segment.progress.appendTime]).toEqual([2, 7, 8, T + 9]);
  });

  it('a late event counts for promptness, and one that is refused for what it holds does not', () => {
    const late = decoded(1, T - 10 * MINUTE, { appendTime: T, arrivedAt: T });
    const { segment } = workSegment(plan, FRESH_PROGRESS, [decoded(0, T), late]);
    expect([segment.refused[0]?.rejected.code, segment.progress.tardy]).toEqual(['late', 20]);
    const bad = { ...late, event: { ...(late.event as NonNullable<typeof late.event>), zone: null } };
    expect(workSegment(plan, FRESH_PROGRESS, [decoded(0, T), bad]).segment.progress.tardy).toBe(0);
  });
});
