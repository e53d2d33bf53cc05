import { MillraceError } from '../schemas/refusal.ts';

/** One thing that is wrong in a project's files. */
export interface Problem {
  /** Path relative to the project's directory. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** What is wrong. */
  readonly message: string;
  /** What to do about it. */
  readonly mend: string;
}

function formatProblem(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message} ${problem.mend}`;
}

/** A project that cannot be loaded, with every problem that was found in it. */
export class ConfigError extends MillraceError {
  override readonly code = 'bad_configuration';
  override readonly retriable = false;
  override readonly final = true;
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? 'One problem' : `${problems.length} problems`;
    super(
      [`${count} in the configuration:`, ...problems.map((problem) => `  ${formatProblem(problem)}`)].join(
        '\n',
      ),
    );
    this.problems = problems;
  }
}
