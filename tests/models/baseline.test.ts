import { describe, expect, it } from 'vitest';
import { calendarCell, fitBaseRate, fitCalendar, scoreBaseline } from '../../models/baseline.ts';
import { cellsOfColumns } from './cells.ts';

describe('baselines', () => {
  it('the base rate is the share of positives, for everybody', () => {
    const baseline = fitBaseRate(Uint8Array.of(0, 1, 0, 0));
    expect(scoreBaseline(baseline, 5)).toBe(0.25);
    expect(scoreBaseline(baseline, -1)).toBe(0.25);
    expect(() => fitBaseRate(new Uint8Array())).toThrow('no rows');
  });

  it('the calendar draws a cell of few rows towards the base rate', () => {
    const cells = Int16Array.of(3, 3, 9, -1);
    const baseline = fitCalendar(cells, Uint8Array.of(1, 1, 0, 0), 2);
    expect(scoreBaseline(baseline, 3)).toBe((2 + 2 * 0.5) / (2 + 2));
    expect(scoreBaseline(baseline, 9)).toBeCloseTo((0 + 2 * 0.5) / 3, 15);
    expect(scoreBaseline(baseline, 100)).toBe(0.5);
    expect(scoreBaseline(baseline, -1)).toBe(0.5);
  });

  it('finds the cell of an hour and a day, and none for a null', () => {
    expect(calendarCell(23.99, 6)).toBe(167);
    expect(calendarCell(24, 0)).toBe(-1);
    expect(calendarCell(Number.NaN, 0)).toBe(-1);
    expect([...cellsOfColumns(Float64Array.of(9, 5.5, 2, 9, Number.NaN, 2), 3, 1, 2)]).toEqual([53, -1]);
  });
});
