import { describe, expect, it } from 'vitest';
import { hash53 } from '../../config/hash.ts';
import { asOf } from '../../processors/read.ts';
import { binOf, binScaleOf, lowerRank, representativeOf } from '../../processors/sketches/ddsketch.ts';
import { HASH_BITS, rankOf, registerOf } from '../../processors/sketches/hll.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import { oracleRead } from '../oracle/naive.ts';
import { buildView } from './build-view.ts';
import { dice, logsOf, readLogs } from './harness.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T = Date.UTC(2001, 3, 1, 12);

function at(time: number, values: Array<number | null>): Contribution {
  return { offset: 0, time, at: null, entity: 'e', values };
}

describe('HyperLogLog', () => {
  it('takes the register from the first bits and the rank from the rest', () => {
    expect(registerOf(2 ** 53 - 1, 11)).toBe(2047);
    expect(registerOf(2 ** 42 - 1, 11)).toBe(0);
    expect(rankOf(2 ** 53 - 1, 11)).toBe(1);
    for (let bit = 0; bit < 42; bit += 1) expect(rankOf(2 ** bit, 11)).toBe(42 - bit);
    expect(rankOf(0, 11)).toBe(HASH_BITS - 11 + 1);
    expect(rankOf(3 * 2 ** 42 + 2 ** 40, 11)).toBe(2);
  });

  it.each([9, 11, 14])(
    'of precision %d has at most 1 %% of reads beyond three standard errors, and no bias above half of one',
    (precision) => {
      const view = buildView({
        inputs: [{ name: 'who', kind: 'hash' }],
        precision,
        windows: [{ aggregation: 'distinct', input: 0, length: HOUR }],
      });
      const error = 1.04 / Math.sqrt(2 ** precision);
      const edge = asOf(view, T + HOUR, T + HOUR);
      const deviations: number[] = [];
      for (const n of [1, 10, 100, 500, 2_000, 8_000]) {
        const reads = n > 1_000 ? 40 : 100;
        for (let read = 0; read < reads; read += 1) {
          const next = dice(read * 7919 + n);
          const events = Array.from({ length: n }, (_, k) =>
            at(T + HOUR / 2 + Math.floor(next() * 20 * MINUTE), [hash53(`card-${read}-${k}`)]),
          );
          const logs = logsOf(view, events, () => (n > 1_000 ? 1 : 0.5));
          const [distinct] = readLogs(view, logs, { time: T, zone: null }, edge);
          deviations.push(((distinct as number) - n) / n / error);
        }
      }
      const far = deviations.filter((deviation) => Math.abs(deviation) > 3).length;
      const bias = deviations.reduce((sum, deviation) => sum + deviation, 0) / deviations.length;
      expect(far / deviations.length).toBeLessThanOrEqual(0.01);
      expect(Math.abs(bias)).toBeLessThan(0.5);
    },
  );

  it('counts what repeats once', () => {
    const view = buildView({
      inputs: [{ name: 'who', kind: 'hash' }],
      windows: [{ aggregation: 'distinct', input: 0, length: HOUR }],
    });
    const events = Array.from({ length: 1_000 }, (_, k) => at(T + k * 1_000, [hash53(`m${k % 3}`)]));
    const edge = asOf(view, T + HOUR, T + HOUR);
    const [distinct] = readLogs(
      view,
      logsOf(view, events, () => 0.1),
      { time: T, zone: null },
      edge,
    );
    expect(Math.round(distinct as number)).toBe(3);
  });
});

describe('DDSketch', () => {
  it.each([0.001, 0.01, 0.05])('stands for every integer within alpha = %d', (alpha) => {
    const scale = binScaleOf(alpha);
    const next = dice(1);
    for (let k = 0; k < 20_000; k += 1) {
      const x = Math.floor(2 ** (next() * 53)) * (next() < 0.5 ? -1 : 1);
      const bin = binOf(scale, x);
      expect(Math.abs(bin)).toBeLessThanOrEqual(scale.greatest);
      expect(Math.abs(representativeOf(scale, bin) - x)).toBeLessThanOrEqual(
        alpha * (1 + 1e-9) * Math.abs(x),
      );
    }
    expect(representativeOf(scale, binOf(scale, 0))).toBe(0);
  });

  it('keeps the order of values', () => {
    const scale = binScaleOf(0.01);
    const values = [-(2 ** 52), -1_000, -7, -2, -1, 0, 1, 2, 7, 1_000, 2 ** 52];
    const bins = values.map((x) => binOf(scale, x));
    expect(bins).toEqual([...bins].sort((a, b) => a - b));
    expect(new Set(bins).size).toBe(values.length);
  });

  it.each([0, 0.1, 0.5, 0.75, 0.9, 0.99, 1])(
    'has quantile %d within alpha of the lower-rank one',
    (quantile) => {
      const view = buildView({
        inputs: [{ name: 'amount', scale: 100 }],
        alpha: 0.01,
        windows: [HOUR, 6 * HOUR].map((length) => ({ aggregation: 'quantile', input: 0, length, quantile })),
      });
      const shapes: Array<(next: () => number) => number> = [
        (next) => Math.floor(next() * 1_000) - 500,
        (next) => Math.floor(Math.exp(next() * 20)),
        (next) => (next() < 0.9 ? 0 : Math.floor(next() * 5)),
        (next) => -Math.floor(Math.exp(next() * 12)),
      ];
      for (const [shape, draw] of shapes.entries())
        for (const n of [1, 2, 3, 10, 101, 1_000]) {
          const next = dice(shape * 1_000 + n);
          const events = Array.from({ length: n }, () => at(T + Math.floor(next() * 5 * HOUR), [draw(next)]));
          const time = T + 5 * HOUR + MINUTE;
          const edge = asOf(view, time, time);
          const got = readLogs(
            view,
            logsOf(view, events, () => 0.2),
            { time, zone: null },
            edge,
          );
          const raw = events.map(({ time: eventTime, values }, k) => ({
            source: 'events',
            event: { id: String(k), type: 't', time: eventTime, amount: values[0] ?? null },
          }));
          const exact = oracleRead(view, raw, { time, zone: null }, edge);
          for (const [k, value] of got.entries()) {
            const wanted = exact[k] as number;
            if (Number.isNaN(wanted)) expect(value).toBeNaN();
            else expect(Math.abs(value - wanted)).toBeLessThanOrEqual(0.01 * (1 + 1e-9) * Math.abs(wanted));
          }
        }
    },
  );

  it('counts ranks from zero, downwards', () => {
    expect(lowerRank(0, 5)).toBe(0);
    expect(lowerRank(0.5, 4)).toBe(1);
    expect(lowerRank(0.99, 100)).toBe(98);
    expect(lowerRank(1, 5)).toBe(4);
  });
});
