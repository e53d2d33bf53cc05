import { describe, expect, it } from 'vitest';
import { printLookUp } from '../../cli/commands/features.ts';
import type { Output } from '../../cli/output.ts';

function printed(features: Readonly<Record<string, number | null>>): string {
  const lines: string[] = [];
  const same = (text: string) => text;
  const output = {
    colours: { bold: same, dim: same },
    line: (text = '') => void lines.push(text),
    table: (_: unknown, rows: readonly string[][]) => void lines.push(...rows.map((row) => row.join(' '))),
  } as unknown as Output;
  const at = Date.UTC(2026, 0, 1);
  const where = { view: 'card@1', entity: 'c1', time: at, asOf: at, sketchAsOf: null, ageMs: 0 };
  printLookUp({ ...where, source: 'online', features }, output);
  return lines.join('\n');
}

describe('features get', () => {
  it('says of a key without events that nothing is known of it', () => {
    expect(printed({ payments_1h: 0, mean_amount_1h: null })).toContain('nothing is known of it');
  });

  it('says nothing of the kind of one that has some', () => {
    const text = printed({ payments_1h: 0, payments_1d: 2, mean_amount_1h: null });
    expect(text).not.toContain('nothing is known');
    expect(text).toContain('payments_1d 2');
  });
});
