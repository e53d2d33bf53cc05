import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyHeader, decodeMeta, encodeMeta, freshMeta, type ViewMeta } from '../../processors/meta.ts';
import type { Section } from '../../schemas/records/block.ts';

const VIEW = { topics: ['a', 'b'] };
const PARTITIONS: Readonly<Record<string, number>> = { a: 2, b: 1 };
const NOTHING = Number.NEGATIVE_INFINITY;

function section(topic: string, partition: number, more: Partial<Section> = {}): Section {
  const { runningMax = null } = more;
  return {
    topic,
    partition,
    partitions: PARTITIONS[topic] ?? 1,
    from: 0,
    to: -1,
    runningMax,
    watermark: runningMax === null ? null : runningMax - 10,
    byClock: false,
    idle: false,
    turn: 1,
    appendTime: null,
    clockOpen: false,
    history: null,
    contributions: [],
    ...more,
  };
}

const apply = (sections: readonly Section[], from: ViewMeta = freshMeta('life', 0, false)): ViewMeta =>
  sections.reduce((meta, one) => applyHeader(VIEW, meta, one), from);

/** Any header that any owner, past or present, paused or not, may send. */
const anySection: fc.Arbitrary<Section> = fc
  .record({
    place: fc.constantFrom(['a', 0] as const, ['a', 1] as const, ['b', 0] as const),
    to: fc.integer({ min: -1, max: 8 }),
    back: fc.integer({ min: 0, max: 4 }),
    runningMax: fc.option(fc.integer({ min: 0, max: 100 }), { freq: 6 }),
    moved: fc.integer({ min: 0, max: 30 }),
    byClock: fc.boolean(),
    idle: fc.boolean(),
    turn: fc.integer({ min: 0, max: 4 }),
    clockOpen: fc.boolean(),
  })
  .map(({ place: [topic, partition], back, moved, ...one }) =>
    section(topic, partition, {
      ...one,
      from: Math.max(0, one.to + 1 - back),
      watermark: one.runningMax === null ? null : one.runningMax - 10 + moved,
    }),
  );

describe('the header of a section: laws', () => {
  const history = fc.array(anySection, { maxLength: 40 });

  it('the frontier, the marks and the watermarks never fall', () => {
    fc.assert(
      fc.property(history, (sections) => {
        let meta = apply([]);
        for (const one of sections) {
          const next = applyHeader(VIEW, meta, one);
          expect(next.frontier ?? NOTHING).toBeGreaterThanOrEqual(meta.frontier ?? NOTHING);
          expect(next.base ?? NOTHING).toBeGreaterThanOrEqual(meta.base ?? NOTHING);
          for (const [key, before] of Object.entries(meta.sources)) {
            const after = next.sources[key];
            expect(after?.mark).toBeGreaterThanOrEqual(before.mark);
            expect(after?.watermark ?? NOTHING).toBeGreaterThanOrEqual(before.watermark ?? NOTHING);
            expect(after?.turn).toBeGreaterThanOrEqual(before.turn);
          }
          meta = next;
        }
      }),
    );
  });

  it('an older turn changes no idleness', () => {
    fc.assert(
      fc.property(history, anySection, (sections, last) => {
        const meta = apply(sections);
        const key = `${last.topic}:${last.partition}`;
        const known = meta.sources[key];
        fc.pre(known !== undefined && last.turn < known.turn);
        const after = applyHeader(VIEW, meta, last).sources[key];
        expect([after?.idle, after?.turn]).toEqual([known?.idle, known?.turn]);
      }),
    );
  });

  it('below the mark nothing counts but the idleness of a newer turn', () => {
    fc.assert(
      fc.property(history, anySection, (sections, last) => {
        const meta = apply(sections);
        const key = `${last.topic}:${last.partition}`;
        const known = meta.sources[key];
        if (known === undefined) return;
        fc.pre(last.to < known.mark);
        const { sources, frontier, ...rest } = applyHeader(VIEW, meta, last);
        const { sources: before, frontier: frontierBefore, ...restBefore } = meta;
        expect(rest).toEqual(restBefore);
        if (last.turn <= known.turn) {
          expect([sources, frontier]).toEqual([before, frontierBefore]);
          return;
        }
        const idleness = { ...known, idle: last.idle, turn: last.turn };
        expect(sources).toEqual({ ...before, [key]: idleness });
      }),
    );
  });

  it('a header that comes twice changes nothing the second time', () => {
    fc.assert(
      fc.property(history, anySection, (sections, last) => {
        const once = apply([...sections, last]);
        expect(applyHeader(VIEW, once, last)).toEqual(once);
      }),
    );
  });

  it('a meta comes back from its bytes as it was', () => {
    fc.assert(
      fc.property(history, (sections) => {
        const meta = apply(sections);
        expect(decodeMeta(encodeMeta(meta))).toEqual(meta);
      }),
    );
  });
});

/*
 *   a:0  ----------------w--------->      The frontier is the least watermark of those awake.
 *   a:1  --------w----------------->      One that nobody has heard of holds it at nothing.
 *   b:0  ---------------------w---->
 */
describe('the frontier', () => {
  const awake = [
    section('a', 0, { runningMax: 50 }),
    section('a', 1, { runningMax: 30 }),
    section('b', 0, { runningMax: 90 }),
  ];

  it('is the least watermark of all partitions of all sources', () => {
    expect(apply(awake).frontier).toBe(20);
  });

  it('is nothing until every partition has been heard of, and has had an event', () => {
    expect(apply(awake.slice(0, 2)).frontier).toBeNull();
    expect(apply(awake.slice(1)).frontier).toBeNull();
    expect(apply([...awake.slice(0, 2), section('b', 0)]).frontier).toBeNull();
  });

  it('leaves idle partitions out, and empty ones among them', () => {
    expect(apply([...awake, section('a', 1, { runningMax: 30, idle: true, turn: 2 })]).frontier).toBe(40);
    expect(apply([...awake.slice(0, 2), section('b', 0, { idle: true })]).frontier).toBe(20);
  });

  it('does not fall when a partition wakes that is behind it', () => {
    const idle = section('a', 1, { runningMax: 30, idle: true, turn: 2 });
    expect(apply([...awake, idle, section('a', 1, { runningMax: 30, turn: 3 })]).frontier).toBe(40);
  });

  const asleep = (more: Partial<Section> = {}) =>
    awake.map((one) => ({ ...one, idle: true, turn: 2, ...more }));

  it('with all idle it is the newest event', () => {
    expect(apply(asleep()).frontier).toBe(90);
    expect(apply([section('a', 0, { idle: true }), ...asleep().slice(1)]).frontier).toBe(90);
  });

  it('with all idle a partition that a clock set counts with its watermark', () => {
    expect(apply(asleep({ byClock: true })).frontier).toBe(80);
  });

  it('with all idle and moved on by the broker clock, it is the least of their watermarks', () => {
    expect(apply(asleep({ watermark: 500 })).frontier).toBe(500);
    const [first, ...others] = asleep({ watermark: 500 });
    expect(apply([{ ...(first as Section), watermark: 200 }, ...others]).frontier).toBe(200);
    expect(apply([{ ...(first as Section), watermark: 60 }, ...others]).frontier).toBe(90);
  });

  it('with all idle and none ever had an event there is none', () => {
    expect(
      apply(['a:0', 'a:1', 'b:0'].map((key) => section(key[0] ?? '', Number(key[2]), { idle: true })))
        .frontier,
    ).toBeNull();
  });
});

describe('the base', () => {
  it('rises past all that may be missing where the log was not told of some offsets', () => {
    const first = section('a', 0, { from: 0, to: 4, runningMax: 50 });
    expect(apply([first, section('a', 0, { from: 5, to: 6, runningMax: 60 })]).base).toBeNull();
    expect(apply([first, section('a', 0, { from: 6, to: 6, runningMax: 60 })]).base).toBe(61);
  });

  it('rises with the first header of each partition where the log was cut', () => {
    const cut = freshMeta('life', 7, true);
    const once = apply([section('a', 0, { runningMax: 50 })], cut);
    expect(once.base).toBe(51);
    expect(apply([section('a', 0, { runningMax: 70 })], once).base).toBe(51);
  });
});
