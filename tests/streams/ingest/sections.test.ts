import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { FRESH_PROGRESS, type Progress } from '../../../processors/lateness.ts';
import { workSegment } from '../../../processors/segment.ts';
import type { Section } from '../../../schemas/records/block.ts';
import type { RawPartition } from '../../../streams/ingest/raw-partition.ts';
import { MAX_CONTRIBUTIONS, NOTHING, sectionsOf, sharesOf } from '../../../streams/ingest/sections.ts';
import { decodedEvent } from '../decoded.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { ingestProcess } from './process.ts';

const T = Date.UTC(2026, 0, 1);

let plane: Plane;
let partition: RawPartition;

beforeAll(async () => {
  plane = await createPlane();
  partition = (await ingestProcess(plane)).own(0);
});

/** A segment of trips that start in these zones, a second apart. */
function segmentOf(zones: readonly string[], start: Progress = FRESH_PROGRESS) {
  const records = zones.map((zone, i) =>
    decodedEvent(start.next + i, tripStart(`e${start.next + i}`, T + i * 1_000, zone)),
  );
  return workSegment(partition.plan, start, records).segment;
}

function sections(zones: readonly string[], viewPartition: number, start?: Progress): Section[] {
  const segment = segmentOf(zones, start);
  const view = plane.view('zone');
  const share = sharesOf(segment).get(view.id)?.[viewPartition] ?? NOTHING;
  return [...sectionsOf(partition, segment.progress, segment, share, view)];
}

describe('the sections of a segment', () => {
  it('every contribution goes to the partition of its entity, once and in order', () => {
    const zone = fc.constantFrom('north', 'south', 'centre', 'harbour', 'airport', 'station');
    fc.assert(
      fc.property(fc.array(zone, { minLength: 1, maxLength: 400 }), (zones) => {
        const view = plane.view('zone');
        const all = Array.from({ length: view.partitions }, (_, i) => sections(zones, i)).flat();
        const offsets = all.flatMap(({ contributions }) => contributions.map(({ offset }) => offset));
        expect([...offsets].sort((a, b) => a - b)).toEqual(zones.map((_, i) => i));
        for (const { contributions } of all)
          for (const [i, { offset, entity }] of contributions.entries()) {
            expect(entity).toBe(zones[offset]);
            if (i > 0) expect(offset).toBeGreaterThan(contributions[i - 1]?.offset ?? 0);
          }
      }),
      { numRuns: 50 },
    );
  });

  it('a large share is cut in pieces, and what follows a piece is the progress after its last event', () => {
    const count = 2 * MAX_CONTRIBUTIONS + 7;
    const view = plane.view('zone');
    const [pieces = []] = Array.from({ length: view.partitions }, (_, i) =>
      sections(
        Array.from({ length: count }, () => 'north'),
        i,
      ),
    ).filter((list) => list.some(({ contributions }) => contributions.length > 0));
    expect(pieces.map(({ contributions }) => contributions.length)).toEqual([
      MAX_CONTRIBUTIONS,
      MAX_CONTRIBUTIONS,
      7,
    ]);
    for (const { to, contributions, runningMax, watermark } of pieces) {
      expect(to).toBe(contributions.at(-1)?.offset);
      expect(runningMax).toBe(T + to * 1_000);
      expect(watermark).toBe(T + to * 1_000 - plane.source.outOfOrderness);
    }
    // A piece that is lost after another was taken leaves no hole: each says where the log of the view begins.
    expect(new Set(pieces.map(({ from }) => from))).toEqual(new Set([0]));
  });

  it('a partition of the view that gets nothing hears how far the source has come', () => {
    const view = plane.view('zone');
    for (let i = 0; i < view.partitions; i += 1) {
      const last = sections(['north', 'north'], i).at(-1);
      expect([last?.from, last?.to, last?.runningMax]).toEqual([0, 1, T + 1_000]);
    }
  });

  it('a view that was fed from an offset says so, and a new one begins where it was first fed', () => {
    const view = plane.view('zone');
    const fed = { ...FRESH_PROGRESS, next: 10, fed: { [view.id]: 4 } };
    expect(sections(['north'], 0, fed)[0]?.from).toBe(4);
    expect(sections(['north'], 0, { ...FRESH_PROGRESS, next: 10 })[0]?.from).toBe(10);
  });

  it('without a segment it is a marker: no contributions, up to the last offset worked', () => {
    const progress = { ...FRESH_PROGRESS, next: 10, runningMax: T, turn: 3, appendTime: T + 5 };
    const [marker, ...others] = sectionsOf(partition, progress, undefined, NOTHING, plane.view('zone'));
    expect(others).toEqual([]);
    expect(marker).toEqual({
      topic: plane.raw,
      partition: 0,
      partitions: 2,
      from: 10,
      to: 9,
      runningMax: T,
      watermark: T - plane.source.outOfOrderness,
      byClock: false,
      idle: false,
      turn: 3,
      appendTime: T + 5,
      clockOpen: false,
      history: null,
      contributions: [],
    });
  });

  it('a view whose other source allows more disorder hears of a lower watermark, and of the same running maximum', () => {
    const view = plane.view('zone');
    const mixed = { ...view, outOfOrderness: plane.source.outOfOrderness + 15_000 };
    const progress = { ...FRESH_PROGRESS, next: 10, runningMax: T };
    const [marker] = sectionsOf(partition, progress, undefined, NOTHING, mixed);
    expect(marker?.watermark).toBe(T - plane.source.outOfOrderness - 15_000);
    expect(marker?.runningMax).toBe(T);
  });

  it('it says idle only where the store says so and the views may know', () => {
    const idle = { ...FRESH_PROGRESS, idle: true };
    const said = (progress: Progress) =>
      [...sectionsOf(partition, progress, undefined, NOTHING, plane.view('zone'))][0]?.idle;
    expect(said(idle)).toBe(false);
    partition.toldIdle = true;
    expect([said(idle), said(FRESH_PROGRESS)]).toEqual([true, false]);
    partition.toldIdle = false;
  });
});
