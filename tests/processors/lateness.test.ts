import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterArrival,
  afterClock,
  afterEvent,
  checkClock,
  checkTime,
  FRESH_PROGRESS,
  fallenIdle,
  feeding,
  isPrompt,
  nextTurn,
  PROMPT_AFTER,
  type Progress,
  woken,
} from '../../processors/lateness.ts';
import { cappedTime } from '../../schemas/event.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { createPlane, tripStart } from '../streams/plane.ts';

const { source } = await createPlane(); // outOfOrderness 30 s, maxFuture 5 min.
const T = Date.UTC(2026, 0, 1);
const live = (time: number) => ({ time, replay: null, kind: 'tick' }) as const;

describe('the cap', () => {
  it('an event counts no later than it arrived; history without arrival is taken at its word', () => {
    expect([cappedTime(T + 5, T), cappedTime(T - 5, T), cappedTime(T + 5, null)]).toEqual([T, T - 5, T + 5]);
  });

  /*
   *  arrival     0 s     1 s     2 s
   *  good        e       .       e       both of now
   *  fast clock  .       E       .       four minutes ahead: allowed, and it moves nobody
   */
  it('one producer whose clock is four minutes fast makes nobody late', () => {
    let progress: Progress = afterEvent(FRESH_PROGRESS, cappedTime(T, T));
    const ahead = tripStart('fast', T + SECOND + 4 * MINUTE);
    expect(checkTime(source, progress, ahead, T + SECOND)).toBeNull();
    progress = afterEvent(progress, cappedTime(ahead.time, T + SECOND));
    expect(progress.runningMax).toBe(T + SECOND);
    expect(checkTime(source, progress, tripStart('good', T + 2 * SECOND), T + 2 * SECOND)).toBeNull();
  });

  it('a live clock counts no later than the broker appended it; that of a replay is taken at its word', () => {
    expect(afterClock(FRESH_PROGRESS, live(T + 9), T).runningMax).toBe(T);
    const replayed = { time: T + 9, replay: 'r', kind: 'tick' } as const;
    expect(afterClock(FRESH_PROGRESS, replayed, T).runningMax).toBe(T + 9);
  });

  it('whatever the producers say, live time is never beyond the newest append time', () => {
    const arrivals = fc.array(fc.record({ skew: fc.integer({ min: -1e6, max: 1e6 }), clock: fc.boolean() }));
    fc.assert(
      fc.property(arrivals, (all) => {
        let progress = FRESH_PROGRESS;
        for (const [i, { skew, clock }] of all.entries()) {
          const now = T + i * SECOND;
          progress = clock
            ? afterClock(progress, live(now + skew), now)
            : afterEvent(progress, cappedTime(now + skew, now));
          expect(progress.runningMax ?? 0).toBeLessThanOrEqual(now);
        }
      }),
    );
  });
});

describe('late and future', () => {
  const progress = { ...FRESH_PROGRESS, runningMax: T };
  const code = (time: number, arrivedAt = T) =>
    checkTime(source, progress, tripStart('e', time), arrivedAt)?.code ?? null;

  it('an event is late below the running maximum less the disorder, and not at it', () => {
    expect([code(T - 30 * SECOND), code(T - 30 * SECOND - 1)]).toEqual([null, 'late']);
    expect(checkTime(source, FRESH_PROGRESS, tripStart('e', 0), T)).toBeNull();
  });

  it('an event is refused where it is further ahead of its arrival than allowed', () => {
    expect([code(T + 5 * MINUTE), code(T + 5 * MINUTE + 1)]).toEqual([null, 'future_time']);
    expect(code(T + 5 * MINUTE + 1, T + 1)).toBeNull();
  });

  it('a live clock too far ahead is refused, that of a replay is not', () => {
    expect(checkClock(source, live(T + 5 * MINUTE + 1), T)?.code).toBe('future_time');
    expect(checkClock(source, { ...live(T + 5 * MINUTE + 1), replay: 'r' }, T)).toBeNull();
  });

  it('a clock below the running maximum moves nothing; one at it or above takes it over', () => {
    expect(afterClock(progress, live(T - 1), T).byClock).toBe(false);
    expect(afterClock(progress, live(T), T)).toMatchObject({ runningMax: T, byClock: true });
    expect(afterEvent({ ...progress, byClock: true }, T).byClock).toBe(true);
    expect(afterEvent({ ...progress, byClock: true }, T + 1)).toMatchObject({
      runningMax: T + 1,
      byClock: false,
    });
  });
});

describe('promptness', () => {
  const arrive = (progress: Progress, delayMs: number) => afterArrival(progress, source, T, T + delayMs);

  it('one event that came later than the disorder makes a partition tardy, and twenty prompt ones prompt again', () => {
    let progress: Progress = { ...FRESH_PROGRESS, runningMax: T };
    expect([isPrompt(progress), isPrompt(arrive(progress, 30 * SECOND))]).toEqual([true, true]);
    progress = arrive(progress, 30 * SECOND + 1);
    for (let i = 0; i < PROMPT_AFTER; i += 1) {
      expect(isPrompt(progress)).toBe(false);
      progress = arrive(progress, 0);
    }
    expect(isPrompt(progress)).toBe(true);
  });

  it('a partition without events, or in a replay, is not moved on', () => {
    expect(isPrompt(FRESH_PROGRESS)).toBe(false);
    expect(isPrompt({ ...FRESH_PROGRESS, runningMax: T, clockOpen: true })).toBe(false);
  });
});

describe('turns', () => {
  it('grow with every owner, falling idle and waking, even where clocks go back or the store was rolled back', () => {
    const change = fc.constantFrom('own', 'idle', 'wake');
    fc.assert(
      fc.property(fc.array(fc.tuple(change, fc.integer({ min: 0, max: 100 }))), (changes) => {
        let progress: Progress = FRESH_PROGRESS;
        for (const [what, now] of changes) {
          const before = progress.turn;
          if (what === 'own') progress = { ...progress, turn: nextTurn(progress, now) };
          else progress = what === 'idle' ? fallenIdle(progress, now) : woken(progress, now);
          expect(progress.turn).toBeGreaterThan(before);
          expect(progress.turn).toBeGreaterThanOrEqual(now);
        }
      }),
    );
  });

  it('who falls idle is in no backlog any more', () => {
    expect(fallenIdle({ ...FRESH_PROGRESS, backlogAt: 5 }, 1)).toMatchObject({ idle: true, backlogAt: null });
    expect(woken({ ...FRESH_PROGRESS, idle: true }, 1).idle).toBe(false);
  });
});

it('a view that was left out for a while is fed from where it is fed again', () => {
  const known = { ...FRESH_PROGRESS, next: 9, fed: { old: 2, dropped: 3 } };
  expect(feeding(known, ['old', 'new']).fed).toEqual({ old: 2, new: 9 });
});
