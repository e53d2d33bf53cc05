import { expect, it } from 'vitest';
import { describeFailure, FailedResult, UsageError } from '../../cli/errors.ts';
import { ConfigError } from '../../config/problems.ts';
import { MillraceError } from '../../schemas/refusal.ts';

class Away extends MillraceError {
  readonly code = 'away';
  readonly retriable = true;
}

it('a failure of the world is one sentence and exit code 1', () => {
  const failure = describeFailure(new Away('Kafka at localhost:1 does not answer.'), false);
  expect(failure).toEqual({ exitCode: 1, code: 'away', message: 'Kafka at localhost:1 does not answer.' });
});

it('what a person wrote wrongly is exit code 2', () => {
  const problem = {
    file: 'views.yaml',
    line: 3,
    column: 5,
    message: 'Unknown name.',
    mend: 'Did you mean x?',
  };
  expect(describeFailure(new ConfigError([problem]), false).exitCode).toBe(2);
  expect(describeFailure(new UsageError('--at needs a time'), false).exitCode).toBe(2);
});

it('a result that says no says it without a word', () => {
  expect(describeFailure(new FailedResult(), false)).toMatchObject({ exitCode: 1, message: '' });
});

it('a bug points at the switch that shows its stack, and debug shows it with its cause', () => {
  const bug = new TypeError('x is undefined', { cause: new Error('deep') });
  expect(describeFailure(bug, false).message).toContain('MILLRACE_DEBUG=1');
  const shown = describeFailure(bug, true).message;
  expect(shown).toContain('errors.test.ts');
  expect(shown).toContain('caused by Error: deep');
});

it('an interrupt is no failure to be explained', () => {
  const aborted = new DOMException('This operation was aborted', 'AbortError');
  expect(describeFailure(aborted, false)).toMatchObject({ exitCode: 130, code: 'interrupted' });
});
