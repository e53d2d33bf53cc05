import { describe, expect, it } from 'vitest';
import {
  bytes,
  count,
  counted,
  duration,
  instant,
  parseInstant,
  percent,
  shellWord,
  shortened,
  table,
} from '../../cli/format.ts';

it('a word of a command line is quoted where a shell would read it otherwise', () => {
  expect(['../shop', 'my shop', "Anna's", '$HOME', 'grün'].map(shellWord)).toEqual([
    '../shop',
    "'my shop'",
    "'Anna'\\''s'",
    "'$HOME'",
    "'grün'",
  ]);
});

describe('numbers as a person reads them', () => {
  it('counts, bytes, shares', () => {
    expect(count(1_234_567.4)).toBe('1,234,567');
    expect([0, 1, 1_234].map((value) => counted(value, 'model'))).toEqual([
      '0 models',
      '1 model',
      '1,234 models',
    ]);
    expect([0, 999, 1_000, 22_000, 1_234_567, 5e9].map(bytes)).toEqual([
      '0 B',
      '999 B',
      '1.00 kB',
      '22.0 kB',
      '1.23 MB',
      '5.00 GB',
    ]);
    expect(percent(0.0421)).toBe('4.2 %');
  });

  it('durations in the unit that fits', () => {
    expect([0.42, 12.3, 4_200, 151_000, 3_720_000].map(duration)).toEqual([
      '0.4 ms',
      '12 ms',
      '4.2 s',
      '2 min 31 s',
      '1 h 2 min',
    ]);
    expect(duration(3_599_700)).toBe('1 h 0 min');
    expect(duration(7 * 86_400_000)).toBe('7 d');
    expect(duration(7 * 86_400_000 + 60_000)).toBe('168 h 1 min');
  });
});

describe('instants', () => {
  it('are read as UTC where no zone is given, and written back', () => {
    for (const [text, written] of [
      ['2001-04-01', '2001-04-01T00:00:00Z'],
      ['2001-04-01T15:00Z', '2001-04-01T15:00:00Z'],
      ['2001-04-01 15:00:30', '2001-04-01T15:00:30Z'],
      ['2001-04-01T15:00+02:00', '2001-04-01T13:00:00Z'],
      ['986137200000', '2001-04-01T15:00:00Z'],
    ] as const)
      expect(instant(parseInstant(text) ?? Number.NaN)).toBe(written);
  });

  it('refuses what is none', () => {
    expect(['yesterday', '2001-13-01', '2001-4-1', ''].map(parseInstant)).toEqual([null, null, null, null]);
  });
});

it('tables line up, colours or not', () => {
  const lines = table(
    [{ title: 'name' }, { title: 'rows', align: 'right' }],
    [
      ['\u001b[32mlong name\u001b[39m', '7'],
      ['x', '1,234'],
    ],
  );
  expect(lines).toEqual(['name        rows', '\u001b[32mlong name\u001b[39m      7', 'x          1,234']);
});

it('a sentence at the end of a line folds where the terminal ends, beside the others or below them', () => {
  const columns = [{ title: 'id' }, { title: 'why' }];
  const rows = [['a', 'over the whole of the day it lost too much']];
  expect(table(columns, rows)).toEqual(['id  why', 'a   over the whole of the day it lost too much']);
  expect(table(columns, rows, 2, 30)).toEqual([
    'id  why',
    'a   over the whole of the day\n    it lost too much',
  ]);
  const narrow = [['twenty letters and more', 'over the whole of the day']];
  expect(table(columns, narrow, 2, 30)[1]).toBe('twenty letters and more\n    over the whole of the day');
  expect(shortened('over the whole', 6)).toBe('over …');
});
