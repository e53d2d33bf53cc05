import { MillraceError } from '../schemas/refusal.ts';

/** Exit codes of every command. `again` is EX_TEMPFAIL of sysexits.h: nothing is wrong, ask again later. */
export const EXIT = { ok: 0, failed: 1, usage: 2, again: 75, interrupted: 130 } as const;

/** The command was called wrongly, or the configuration is wrong: nothing was tried. */
export class UsageError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'UsageError';
  }
}

/** The command ran and its answer is no: what it would say has been said already. */
export class FailedResult extends Error {
  constructor(message = '') {
    super(message);
    this.name = 'FailedResult';
  }
}

/** There is no answer yet: whoever asked should ask again later. */
export class NotYet extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotYet';
  }
}

/** Errors that speak about what a person wrote, not about the world. */
const isConfiguration = (error: Error) =>
  error instanceof UsageError || (error instanceof MillraceError && error.code === 'bad_configuration');

export interface Failure {
  readonly exitCode: number;
  /** Empty where everything is said already. */
  readonly message: string;
  /** What `--json` prints. */
  readonly code: string;
}

/** Turns whatever was thrown into one sentence and an exit code. `debug` adds the stack and the causes. */
export function describeFailure(error: unknown, debug: boolean): Failure {
  if (!(error instanceof Error)) return { exitCode: EXIT.failed, message: String(error), code: 'unknown' };
  if (error instanceof FailedResult) return { exitCode: EXIT.failed, message: error.message, code: 'failed' };
  if (error instanceof NotYet) return { exitCode: EXIT.again, message: error.message, code: 'not_yet' };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  if (error.name === 'AbortError' || code === 'interrupted')
    return { exitCode: EXIT.interrupted, message: 'Stopped before the end.', code: 'interrupted' };
  const exitCode = isConfiguration(error) ? EXIT.usage : EXIT.failed;
  if (debug) return { exitCode, message: stackOf(error), code };
  if (isExpected(error)) return { exitCode, message: error.message, code };
  return {
    exitCode,
    message: `${error.message || error.name} (this is not a failure that Millrace knows: set MILLRACE_DEBUG=1 to see where it comes from)`,
    code,
  };
}

/** Errors with a `retriable` of their own were written to be read. */
const isExpected = (error: Error) => isConfiguration(error) || 'retriable' in error;

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own;
}
