import { describe, expect, it } from 'vitest';
import { FRESH_PROGRESS } from '../../../processors/lateness.ts';
import { judgeLetters, type ReadLetter } from '../../../streams/letters/judge.ts';
import { FILES, load } from '../../config/project.ts';

const NOW = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const [source] = load(FILES).sources;
if (source === undefined) throw new Error('the project has a source');

const FIRST = { arrivedAt: null, tries: 0, done: false };
const letter = (id: string, minutes: number, more: object = {}, partition = 0): ReadLetter => ({
  ...FIRST,
  partition,
  decoded: {
    rejected: null,
    clock: null,
    event: {
      id,
      type: 'order.placed',
      time: NOW + minutes * MINUTE,
      order_id: id,
      customer: 'c',
      amount: 1,
      items: null,
      paid: null,
      placed_at: null,
      zone: null,
      ...more,
    },
  },
});
/** The watermark stands a minute before the running maximum. */
const progress = [{ ...FRESH_PROGRESS, runningMax: NOW }, null];
const judge = (letters: readonly ReadLetter[], accepted: readonly string[] = []) =>
  judgeLetters(letters, { source, progress, accepted: new Set(accepted), now: NOW + MINUTE }).map(
    ({ outcome, code }) => (code === null ? outcome : `${outcome} ${code}`),
  );

describe('dead letters that would come again now', () => {
  it('are accepted, late, or refused again, by the rules and the watermark of now', () => {
    expect(judge([letter('a', 0), letter('b', -2), letter('c', 0, { amount: -1 })])).toEqual([
      'live',
      'late',
      'refused rule_failed',
    ]);
    expect(judge([letter('d', 0, { customer: null })])).toEqual(['refused missing_field']);
  });

  it('do not make each other late: the earliest goes first', () => {
    expect(judge([letter('a', 1), letter('b', -1)])).toEqual(['live', 'live']);
    expect(judge([letter('a', -100, {}, 1), letter('b', 0, {}, 1)])).toEqual(['live', 'live']);
  });

  it('go in once, and not beside an event of their id', () => {
    expect(judge([letter('a', 0), letter('a', 0)])).toEqual(['live', 'repeat']);
    expect(judge([letter('a', 0)], ['a'])).toEqual(['repeat']);
    // A letter that is refused again is no reason against a sound one of its id.
    expect(judge([letter('a', 0, { amount: -1 }), letter('a', 0)])).toEqual(['refused rule_failed', 'live']);
  });

  it('come back once, and not again and again where they are refused each time', () => {
    const again = (more: Partial<ReadLetter>) => judge([{ ...letter('a', 0), ...more }]);
    expect(again({ done: true })).toEqual(['done']);
    expect(again({ tries: 2 })).toEqual(['live']);
    expect(again({ tries: 3 })).toEqual(['exhausted']);
    // One that is refused by the rules of now is told so.
    expect(judge([{ ...letter('a', 0, { amount: -1 }), tries: 3 }])).toEqual(['refused rule_failed']);
  });

  it('count as arrived when their replay says so', () => {
    const ahead = { ...letter('a', 10), arrivedAt: NOW + 9 * MINUTE };
    expect(judge([ahead])).toEqual(['live']);
    expect(judge([{ ...ahead, arrivedAt: null }])).toEqual(['refused future_time']);
  });

  it('cannot come back where the record is not here whole, and are refused where it cannot be read', () => {
    const rejected = { stage: 'decode', code: 'bad_json', detail: '' } as const;
    const unread = { ...FIRST, partition: 0, decoded: { event: null, clock: null, rejected } };
    expect(judge([{ ...FIRST, partition: 0, decoded: null }, unread])).toEqual(['gone', 'refused bad_json']);
  });
});
