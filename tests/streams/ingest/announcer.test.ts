import { beforeEach, describe, expect, it } from 'vitest';
import { workSegment } from '../../../processors/segment.ts';
import type { Section } from '../../../schemas/records/block.ts';
import { SECOND } from '../../../schemas/time.ts';
import { Announcer } from '../../../streams/ingest/announcer.ts';
import type { RawPartition } from '../../../streams/ingest/raw-partition.ts';
import { MAX_CONTRIBUTIONS } from '../../../streams/ingest/sections.ts';
import { decoded, decodedEvent } from '../decoded.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { ingestProcess } from './process.ts';

const RESOLUTION = 10 * SECOND; // Of both views.

describe('the announcer', () => {
  let plane: Plane;
  let announcer: Announcer;
  let state: RawPartition;
  let now: number;

  beforeEach(async () => {
    plane = await createPlane();
    announcer = new Announcer(plane.project, plane.codecs);
    state = (await ingestProcess(plane)).own(0);
    now = plane.clock.now();
  });

  const viewPartitions = () => plane.project.views.reduce((sum, { partitions }) => sum + partitions, 0);
  const due = () => announcer.due([state], now);
  /** How many view partitions are told now; all of it is acknowledged. */
  function tell(): number {
    const sections = announcer.sections([state], now);
    announcer.sent(sections, now);
    return sections.size;
  }
  const comeTo = (watermark: number) => {
    state.progress = { ...state.progress, runningMax: watermark + plane.source.outOfOrderness };
  };

  it('tells every view partition of a new owner, and is quiet then', () => {
    expect(due()).toBe(true);
    expect(tell()).toBe(viewPartitions());
    expect([due(), tell(), state.announce]).toEqual([false, 0, false]);
  });

  it('what was not acknowledged is still due', () => {
    announcer.sections([state], now);
    expect([due(), state.announce]).toEqual([true, true]);
    const [first] = announcer.markers([state]);
    if (first !== undefined) announcer.sent(new Map([first]), now);
    expect([due(), state.announce]).toEqual([true, true]); // One of many view partitions has heard.
  });

  /*
   *  tile      |---------10 s---------|---------
   *  watermark       ^ told    ^ no       ^ due
   */
  it('a watermark is told when it passes the edge of a tile', () => {
    comeTo(now);
    tell();
    now += SECOND;
    comeTo(plane.clock.now() + RESOLUTION - 1);
    expect([due(), announcer.passesEdge(state, state.watermark() ?? 0)]).toEqual([false, false]);
    comeTo(plane.clock.now() + RESOLUTION);
    expect(announcer.passesEdge(state, state.watermark() ?? 0)).toBe(true);
    expect([due(), tell(), due()]).toEqual([true, viewPartitions(), false]);
  });

  it('but no more than once in 20 ms; meanwhile it is pending', () => {
    comeTo(now);
    tell();
    comeTo(now + RESOLUTION);
    now += 19;
    expect([due(), announcer.pending]).toEqual([false, true]);
    now += 1;
    expect([due(), announcer.pending]).toEqual([true, false]);
  });

  it('everybody hears of every partition each 30 s at least', () => {
    tell();
    now += 30 * SECOND - 1;
    expect(due()).toBe(false);
    now += 1;
    expect([due(), tell()]).toEqual([true, viewPartitions()]);
  });

  it('the newest event is hidden until the watermark has left its tile', () => {
    expect(announcer.hidesNewest(state)).toBe(false);
    comeTo(now);
    expect(announcer.hidesNewest(state)).toBe(true);
    const { runningMax } = state.progress;
    state.settled = (runningMax ?? 0) + RESOLUTION;
    expect(announcer.hidesNewest(state)).toBe(false);
  });

  it('contributions are told to their view partition at once, and to no other', () => {
    tell();
    const records = [decodedEvent(0, tripStart('e', now))];
    const { segment } = workSegment(state.plan, state.progress, records);
    const sections = announcer.sections([state], now, new Map([[state, segment]]));
    const told = [...sections.values()].flat().map(({ section }) => section);
    expect(told.flatMap(({ contributions }) => contributions)).toHaveLength(1);
    // The watermark went from none to the event's: all others hear of it as a marker, 20 ms later.
    expect(told).toHaveLength(1);
  });

  it('a clock is told to every view partition, whatever they have heard', () => {
    tell();
    const clock = { time: now, replay: 'r', kind: 'tick' } as const;
    const { segment } = workSegment(state.plan, state.progress, [
      { ...decoded(0, null), rejected: null, clock },
    ]);
    expect(announcer.sections([state], now, new Map([[state, segment]])).size).toBe(viewPartitions());
  });

  it('markers go to every listener of just these partitions', () => {
    tell();
    const markers = announcer.markers([state]);
    expect(markers.size).toBe(viewPartitions());
    expect([...markers.values()].flat().every(({ section }) => section.contributions.length === 0)).toBe(
      true,
    );
  });

  it('a block holds no more contributions than its bound, and loses none', () => {
    const zones = Array.from({ length: 1_000 }, (_, i) => `zone-${i}`);
    const records = zones.map((zone, i) => decodedEvent(i, tripStart(`e${i}`, now, zone)));
    const { segment } = workSegment(state.plan, state.progress, records);
    const blocks = announcer.blocks(announcer.sections([state], now, new Map([[state, segment]])));
    const told: Section[][] = blocks.map(({ value }) => [
      ...plane.codecs.blocks.decode(value ?? new Uint8Array()).sections,
    ]);
    for (const sections of told)
      expect(sections.reduce((sum, { contributions }) => sum + contributions.length, 0)).toBeLessThanOrEqual(
        MAX_CONTRIBUTIONS,
      );
    const entities = told.flat().flatMap(({ contributions }) => contributions.map(({ entity }) => entity));
    expect(entities.sort()).toEqual([...zones].sort());
    expect(new Set(blocks.map(({ topic, partition }) => `${topic}:${partition}`)).size).toBe(
      viewPartitions(),
    );
  });
});
