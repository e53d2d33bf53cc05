import { beforeEach, describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { applyBlock, type RefusedContribution } from '../../../processors/apply-block.ts';
import { decodeMeta, freshMeta } from '../../../processors/meta.ts';
import { keys } from '../../../schemas/names.ts';
import type { Section } from '../../../schemas/records/block.ts';
import { HOUR, MINUTE } from '../../../schemas/time.ts';
import { beginState } from '../../../streams/features/begin-state.ts';
import type { FeaturesContext } from '../../../streams/features/context.ts';
import { deadLetterOf, foldRecords } from '../../../streams/features/fold.ts';
import type { OwnedView } from '../../../streams/features/view-partition.ts';
import { createPlane, type Plane } from '../plane.ts';
import { featuresContext, owned, sectionOf } from './context.ts';

let plane: Plane;
let context: FeaturesContext;
let state: OwnedView;
let T: number;

beforeEach(async () => {
  plane = await createPlane();
  context = await featuresContext(plane);
  state = owned(plane, plane.view('zone'));
  T = plane.clock.now();
  const { bytes, meta } = await beginState({ ...context }, state, null);
  [state.expected, state.meta] = [bytes, meta];
});

const section = (times: readonly number[], more: Parameters<typeof sectionOf>[3] = {}): Section =>
  sectionOf(plane, state.view, times, more);
const other = (runningMax: number, more: Partial<Section> = {}): Section =>
  section([], { partition: 1, to: -1, runningMax, ...more });

function block(offset: number, ...sections: Section[]): KafkaRecord {
  const value = plane.codecs.blocks.encode({ format: 1, sections });
  return { topic: state.topic, partition: 0, offset, key: null, value, headers: null, appendTime: T };
}

describe('a block', () => {
  function apply(meta: typeof state.meta, ...sections: Section[]) {
    const refused: RefusedContribution[] = [];
    const added: number[] = [];
    const folder = { add: ({ offset }: { offset: number }) => void added.push(offset) };
    return { meta: applyBlock(state, meta, sections, folder, refused), refused, added };
  }

  it('adds each contribution once: what is at or below the mark is a repeat', () => {
    const first = apply(state.meta, section([T, T + 1]));
    expect(first.added).toEqual([0, 1]);
    const again = apply(first.meta, section([T, T + 1, T + 2]));
    expect([again.added, again.refused, again.meta.applied]).toEqual([[2], [], 3]);
  });

  it('refuses what is below the frontier as it stood before the block, and counts it', () => {
    const { meta } = apply(state.meta, section([T]), other(T));
    expect(meta.frontier).toBe(T);
    const late = apply(meta, section([T - 1, T], { from: 1 }));
    expect([late.added, late.refused.map(({ code }) => code)]).toEqual([[2], ['late_for_view']]);
    expect([late.meta.applied, late.meta.refused]).toEqual([2, 1]);
  });

  /*
   *  block 1:  [p1 wakes: an empty section] [p0 moves to T+1h]       the frontier stays with p1
   *  block 2:  [p1's older events]                                   they are taken
   */
  it('a waking that comes before what others bring keeps the frontier for the woken', () => {
    const idle = apply(state.meta, section([T]), other(T - HOUR, { idle: true, turn: 2 })).meta;
    const waking = other(T - HOUR, { turn: 3 });
    const flushed = apply(idle, waking, section([T + HOUR], { from: 1 }));
    expect(flushed.meta.frontier).toBe(T);
    const older = apply(flushed.meta, section([T + MINUTE], { partition: 1, turn: 3 }));
    expect([older.added, older.refused]).toEqual([[0], []]);
    // In the other order the frontier has passed.
    const passed = apply(apply(idle, section([T + HOUR], { from: 1 })).meta, waking);
    expect(apply(passed.meta, section([T + MINUTE], { partition: 1, turn: 3 })).refused).toHaveLength(1);
  });

  it('of history is left to the backfill that wrote the state, and asks for one where it is gone', () => {
    const written = (whole: boolean) => section([T], { history: { imports: ['i'], until: T, whole } });
    const history = written(false);
    expect(() => apply(state.meta, history)).toThrow(/millrace backfill state --to \S+Z'/);
    expect(() => apply(state.meta, written(true))).toThrow(/millrace backfill state --to \S+ --whole'/);
    const built = { ...state.meta, history: { imports: ['i'], until: T } };
    expect(apply(built, history)).toMatchObject({ added: [], meta: built });
  });

  it('refuses an event that comes too long after its second time', () => {
    const line = owned(plane, plane.view('line'));
    const refused: RefusedContribution[] = [];
    const one = sectionOf(plane, line.view, [T]);
    const contributions = [{ ...(one.contributions[0] as (typeof one.contributions)[number]), at: T - HOUR }];
    applyBlock(line, freshMeta('life', 0, false), [{ ...one, contributions }], line.folder, refused);
    expect(refused.map(({ code }) => code)).toEqual(['too_old']);
  });
});

describe('folding records', () => {
  it('makes one commit of them: appends by entity, against the meta it began from, with the next offset', () => {
    const folded = foldRecords(context, state, [
      block(0, section([T, T + 1])),
      block(1, section([T + 2], { from: 2, zone: 'south' })),
    ]);
    expect([folded.taken, folded.contributions, folded.meta.next, folded.meta.applied]).toEqual([2, 3, 2, 3]);
    expect(folded.commit.expected).toBe(state.expected);
    expect(folded.commit.appends.map(([key]) => key)).toEqual([
      keys.log(state.key, 'w', 'north'),
      keys.log(state.key, 'w', 'south'),
    ]);
    expect(decodeMeta(folded.commit.next)).toEqual(folded.meta);
    const bytes = folded.commit.appends.reduce((sum, [, value]) => sum + value.byteLength, 0);
    expect(folded.meta.appendedBytes).toBe(bytes);
    expect(state.folder.drain()).toEqual([]);
  });

  it('ends a commit before it touches too many keys, at a record, and takes at least one record', () => {
    const zones = (from: number) => {
      const one = section(
        Array.from({ length: 300 }, () => T),
        { from },
      );
      return { ...one, contributions: one.contributions.map((c) => ({ ...c, entity: `z${c.offset}` })) };
    };
    const folded = foldRecords(context, state, [block(0, zones(0)), block(1, zones(300))]);
    expect([folded.taken, folded.meta.next, folded.commit.appends.length]).toEqual([1, 1, 300]);
    const wide = { ...zones(0), contributions: [...zones(0).contributions, ...zones(300).contributions] };
    expect(foldRecords(context, state, [block(0, wide)]).taken).toBe(1);
  });

  it('what is refused becomes a dead letter of its source, with its lineage', () => {
    const { refused } = foldRecords(context, state, [
      block(0, section([T]), other(T)),
      block(1, section([T - HOUR], { from: 1 })),
    ]);
    const [one] = refused;
    if (one === undefined) throw new Error('it is refused');
    const letter = deadLetterOf(context, state, one);
    const { code, sourceOffset, sourcePartition, writer, eventTime } = plane.codecs.deadLetters.decode(
      letter.value ?? new Uint8Array(),
    );
    expect([code, sourceOffset, sourcePartition, writer, eventTime]).toEqual([
      'late_for_view',
      1,
      0,
      `${state.view.id}:0`,
      T - HOUR,
    ]);
  });
});
