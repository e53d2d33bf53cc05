import { describe, expect, it } from 'vitest';
import { nothingText } from '../../cli/commands/monitor.ts';
import { driftLines } from '../../cli/commands/monitor-drift.ts';
import { qualityRows } from '../../cli/commands/monitor-quality.ts';
import type { Output } from '../../cli/output.ts';
import { measure } from '../../monitoring/measures.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { DAY } from '../../schemas/time.ts';
import { ordersProject } from '../monitoring/fixture.ts';

const plain = (text: string) => text;
const output = {
  colours: { bold: plain, dim: plain, red: plain, green: plain, yellow: plain, cyan: plain },
} as unknown as Output;

const from = Date.UTC(2001, 3, 6);
const window = { model: 'risk', version: 2, from, to: from + DAY, tick: from + DAY };

function quality(statistic: string, value: number | null, detail: object = {}): Measure {
  return measure({
    ...window,
    kind: 'quality',
    statistic,
    value,
    low: value,
    high: value,
    rows: 100,
    detail,
  });
}

describe('millrace monitor quality', () => {
  it('shows a window of a version on a line, the estimate beside what the labels say', () => {
    const rows = qualityRows(
      [
        quality('label_coverage', 0.8, { by: 'shadow' }),
        quality('log_loss', 0.3),
        quality('auc', null, { why: 'All labels are the same.' }),
        measure({
          ...window,
          kind: 'estimate',
          statistic: 'log_loss',
          value: 0.28,
          low: 0.27,
          high: 0.29,
          rows: 100,
          detail: { covered: false },
        }),
      ],
      output,
    );
    expect(rows).toEqual([
      [
        '2001-04-06',
        '2 (shadow)',
        '',
        '100',
        '80.0 %',
        '0.3000 [0.300, 0.300]',
        '-',
        '-',
        '-',
        '~0.2800 [0.270, 0.290] missed',
      ],
    ]);
  });

  it('says why a window has no answer', () => {
    const [row] = qualityRows(
      [quality('label_coverage', null, { why: 'Nothing was scored in the window.' })],
      output,
    );
    expect(row?.at(-1)).toBe('Nothing was scored in the window.');
  });
});

describe('millrace monitor drift', () => {
  const verdict = (subject: string, fired: boolean, impact: number, effect: number) =>
    measure({
      ...window,
      kind: 'drift',
      statistic: 'psi',
      subject,
      value: effect,
      threshold: 0.2,
      fired,
      rows: 100,
      detail: {
        of: 'psi',
        impact,
        effect,
        importance: 0.1,
        reason: fired ? 'fired' : 'usual_effect',
        why: 'W.',
      },
    });

  it('ranks what fired first, then by what a change does to the model, and names the baselines', () => {
    const [model] = ordersProject().models;
    if (model === undefined) throw new Error('the fixture has a model');
    const lines = driftLines(
      [
        verdict('amount', false, 0.9, 0.15),
        verdict('weight', true, 0.1, 0.4),
        verdict('hour', false, 0, 0.01),
        measure({
          ...window,
          kind: 'drift',
          statistic: 'new_categories',
          subject: 'shop',
          value: 0.25,
          rows: 100,
          detail: { names: ['annabel'] },
        }),
      ],
      model,
      output,
    );
    const ranked = lines
      .filter((line) => /^ *\d {2}\w/.test(line))
      .map((line) => line.trim().split(/\s+/)[1]);
    expect(ranked).toEqual(['weight', 'amount', 'hour']);
    expect(lines.join('\n')).toContain('weight: W.');
    expect(lines.join('\n')).toContain('shop: 25.0 % of the rows hold what was never seen before: annabel');
    expect(lines.at(-1)).toBe(
      '1 of 3 fired; alerting on every change of 0.100 psi would have fired 2, on everything 3, on nothing 0.',
    );
  });
});

it('says of a time that was not measured which ones were', () => {
  expect(nothingText([])).toContain('Nothing was measured yet');
  expect(nothingText([from, from + DAY])).toBe(
    'Nothing was measured for that time: ticks lie between 2001-04-06T00:00:00Z and 2001-04-07T00:00:00Z (millrace monitor ticks).',
  );
});
