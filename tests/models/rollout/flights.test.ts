import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../models/random.ts';
import { bet, evidenceOf, NO_BETS, NO_SCALE, scaleOf, widen } from '../../../models/rollout/betting.ts';

interface Hours {
  readonly rows: readonly number[];
  readonly sum: readonly number[];
  readonly squares: readonly number[];
}

const pairs: Record<'retrained' | 'smaller', Hours> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/flights.json'), 'utf8'),
);

interface Block {
  readonly rows: number;
  readonly sum: number;
  readonly squares: number;
}

/** 28 days drawn from the real ones, each whole, cut into blocks of so many hours; `gain` is added to each request. */
function shadow(hours: Hours, seed: number, length: number, gain: number, sign: number): Block[] {
  const random = createRandom(seed);
  const blocks: Block[] = [];
  for (let drawn = 0; drawn < 28; drawn++) {
    const day = 24 * Math.floor(random.next() * (hours.rows.length / 24));
    for (let from = day; from < day + 24; from += length) {
      let [rows, sum, squares] = [0, 0, 0];
      for (let hour = from; hour < from + length; hour++) {
        rows += hours.rows[hour] ?? 0;
        sum += sign * (hours.sum[hour] ?? 0) + gain * (hours.rows[hour] ?? 0);
        squares += hours.squares[hour] ?? 0;
      }
      blocks.push({ rows, sum, squares });
    }
  }
  return blocks;
}

/** Blocks until the evidence reaches the bar; infinity where it does not. */
function blocksUntil(blocks: readonly Block[], bar = 20): number {
  let [bets, scale] = [NO_BETS, NO_SCALE];
  for (const [at, { sum, squares }] of blocks.entries()) {
    const unit = scaleOf(scale);
    if (unit > 0) bets = bet(bets, sum / unit);
    if (evidenceOf(bets) >= bar) return at + 1;
    scale = widen(scale, sum, squares);
  }
  return Number.POSITIVE_INFINITY;
}

const SHADOWS = 500;

function wrong(hours: Hours, length: number, sign: number): number {
  let count = 0;
  for (let seed = 0; seed < SHADOWS; seed++)
    if (blocksUntil(shadow(hours, seed, length, 0, sign)) < Number.POSITIVE_INFINITY) count++;
  return count / SHADOWS;
}

// Two real versions on real flights, their mean difference taken out: whoever promotes either is wrong.
describe('the error claim on real flights', () => {
  for (const [name, hours] of Object.entries(pairs)) {
    // .075 of 500 at a true .05 has a chance of about 1 in 100.
    it(`holds for blocks of a day, whichever of the two is the champion (${name})`, () => {
      expect(wrong(hours, 24, 1)).toBeLessThanOrEqual(0.075);
      expect(wrong(hours, 24, -1)).toBeLessThanOrEqual(0.075);
    });

    it(`does not hold for blocks of an hour (${name})`, () => {
      expect(Math.max(wrong(hours, 1, 1), wrong(hours, 1, -1))).toBeGreaterThan(0.1);
    });
  }

  it('a gain of .0055 log loss is seen within two weeks of retrained versions', () => {
    const days = Array.from({ length: SHADOWS }, (_, seed) =>
      blocksUntil(shadow(pairs.retrained, seed, 24, 0.0055, 1)),
    ).sort((a, b) => a - b);
    expect(days[SHADOWS / 2]).toBeLessThanOrEqual(11);
    expect(days[0.9 * SHADOWS]).toBeLessThanOrEqual(14);
  });
});

// As the guard: blocks of three hours, a tolerance of .002, a quarter of the evidence, seven days.
describe('the guard on real flights', () => {
  const daysUntil = (hours: Hours, loss: number, sign: number): number[] =>
    Array.from({ length: SHADOWS }, (_, seed) => {
      const week = shadow(hours, seed, 3, loss - 0.002, sign).slice(0, 7 * 8);
      return blocksUntil(week, 80) / 8;
    }).sort((a, b) => a - b);

  for (const [name, hours] of Object.entries(pairs)) {
    it(`keeps versions that are equal on the average (${name})`, () => {
      for (const sign of [1, -1])
        expect(daysUntil(hours, 0, sign).filter((days) => days <= 7).length).toBeLessThanOrEqual(
          0.05 * SHADOWS,
        );
    });

    it(`rolls back what is worse by .02 within three days (${name})`, () => {
      expect(daysUntil(hours, 0.02, 1)[0.9 * SHADOWS]).toBeLessThanOrEqual(3);
    });
  }
});
