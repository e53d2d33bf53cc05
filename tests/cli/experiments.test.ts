import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { CommandContext, Runner } from '../../cli/command.ts';
import { registerExperiments } from '../../cli/commands/experiments.ts';
import { readEnvironment } from '../../cli/environment.ts';
import { createOutput } from '../../cli/output.ts';
import { mostByChance } from '../../models/rollout/simulation.ts';

/** Runs one command line with an output that keeps what it says. */
async function run(...words: string[]) {
  const said: { lines: string[]; rows: string[][]; json: unknown[]; error: unknown } = {
    lines: [],
    rows: [],
    json: [],
    error: null,
  };
  const quiet = { update() {}, total() {}, detail() {}, done: () => 0, fail: () => 0 };
  const context: CommandContext = {
    environment: readEnvironment(),
    output: {
      ...createOutput(readEnvironment(), words.includes('--json')),
      line: (text = '') => void said.lines.push(text),
      table: (_columns, rows) => void said.rows.push(...rows.map((row) => [...row])),
      json: (value) => void said.json.push(value),
      progress: () => quiet,
    },
    project: undefined,
    prefix: undefined,
    signal: new AbortController().signal,
  };
  const runner: Runner =
    <P extends unknown[]>(action: (context: CommandContext, ...parameters: P) => Promise<void>) =>
    (...all) =>
      action(context, ...(all.slice(0, -1) as P));
  const program = new Command().option('--json').exitOverride();
  registerExperiments(program, runner);
  await program.parseAsync(['node', 'millrace', ...words]).catch((error: unknown) => {
    said.error = error;
  });
  return said;
}

const small = ['--experiments', '20', '--days', '10', '--requests-per-day', '500'];

describe('millrace experiments', () => {
  it('aa prints how many were promoted, and the same for the same seed', async () => {
    const { lines, rows, error } = await run('experiments', 'aa', ...small, '--seed', '7');
    expect(error).toBeNull();
    expect(rows.map(([name]) => name)).toEqual([
      'promoted',
      'refused as worse',
      'refused, gain too small',
      'no difference shown in time',
    ]);
    expect(lines.join('\n')).toMatch(
      /\d wrong promotions of 20 \(\d+\.\d %\); at a declared 5\.0 % more than 4/,
    );
    const [one, two] = [
      await run('--json', 'experiments', 'aa', ...small, '--seed', '7'),
      await run('--json', 'experiments', 'aa', ...small, '--seed', '7'),
    ];
    expect(one.json).toEqual(two.json);
    expect(one.json[0]).toMatchObject({ experiments: 20, alpha: 0.05, allowed: 4, kept: true });
  });

  it('power tells after how many requests the difference is seen, or that it never is', async () => {
    const { lines } = await run('experiments', 'power', ...small, '--days', '30', '--gain', '0.05');
    expect(lines.join('\n')).toMatch(
      /a gain of 0\.05 log loss was seen in \d+ % of shadows, after [\d,]+ requests/,
    );
    const never = await run('experiments', 'power', ...small, '--days', '1', '--gain', '0.001');
    expect(never.lines.join('\n')).toContain('was never seen within 1 days');
  });

  it('says no with an exit code where blocks are too short for what errs together', async () => {
    const asked = ['--experiments', '40', '--days', '20', '--requests-per-day', '5000'];
    const { error, json } = await run(
      '--json',
      'experiments',
      'aa',
      ...asked,
      '--block-hours',
      '1',
      '--day-bias',
      '0.3',
    );
    expect(json[0]).toMatchObject({ kept: false });
    expect(error).toMatchObject({ name: 'FailedResult' });
  });

  it('allows what chance explains', () => {
    expect(mostByChance(200, 0.05)).toBe(18);
    expect(mostByChance(1, 0.05)).toBe(1);
    expect(mostByChance(100, 0.5)).toBeLessThan(65);
  });
});
