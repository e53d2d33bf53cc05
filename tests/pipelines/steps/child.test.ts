import { getPriority } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { StepCall } from '../../../pipelines/runs/work.ts';
import { createChildExecutor } from '../../../pipelines/steps/child.ts';

const { signal } = new AbortController();
const call = {
  run: { id: 'weekly@1' },
  step: { step: { name: 'train' } },
  token: 'mine',
  note: () => {},
} as unknown as StepCall;

/** A command line that says this of itself, once its priority has been set. */
const saying = (expression: string) =>
  createChildExecutor({
    command: [
      process.execPath,
      '-e',
      `setTimeout(() => { process.send({ kind: 'outcome', outcome: { kind: 'done', result: null, note: String(${expression}) } }); process.disconnect(); }, 200)`,
      '--',
    ],
  });

describe('the process of a step', () => {
  it('gives way to the process that started it, and to the streams', async () => {
    const outcome = await saying("require('os').getPriority()")(call, signal);
    expect(Number(outcome.note)).toBe(Math.min(19, getPriority() + 10));
  });

  it('does the step that it is told, under its token', async () => {
    const { note } = await saying('process.argv.slice(1)')(call, signal);
    expect(note).toBe('pipelines,step,train,--run,weekly@1,--token,mine');
  });
});
