import type { EventScope } from '../schemas/project.ts';
import type { ConfigDocument, Path, Place } from './document.ts';
import type { CompiledExpression, ExpressionCompiler, ExpressionType } from './expression.ts';
import type { Problem } from './problems.ts';

/** Collects problems, so that a person sees all of them at once. */
export interface Reporter {
  readonly problems: readonly Problem[];
  add(problem: Problem): void;
  report(place: Place, message: string, mend: string, where?: { offset?: number; key?: boolean }): void;
}

export function createReporter(): Reporter {
  const problems: Problem[] = [];
  return {
    problems,
    add: (problem) => void problems.push(problem),
    report(place, message, mend, where) {
      problems.push(place.document.problemAt(place.path, message, mend, where));
    },
  };
}

export function placeOf(document: ConfigDocument, path: Path = []): Place {
  return { document, path };
}

export function inside(place: Place, ...keys: Path): Place {
  return { document: place.document, path: [...place.path, ...keys] };
}

/** Compiles an expression where it is written; null where it is wrong, which is then reported. */
export function compileAt(
  reporter: Reporter,
  compiler: ExpressionCompiler,
  place: Place,
  text: string,
  expected: ExpressionType,
): CompiledExpression | null {
  const result = compiler.compile(text, expected);
  if (result.ok) return result.expression;
  reporter.report(place, result.problem.message, result.problem.mend, { offset: result.problem.offset });
  return null;
}

/** A condition that never says null. */
export type Condition = (scope: EventScope) => boolean;
