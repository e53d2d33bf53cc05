import { RE2JS } from 're2js';
import { UnsupportedExpression } from './expression-node.ts';

/** Most instructions of a compiled pattern: the time that a match can take is this times the length of the text. */
const MAX_PROGRAM = 1_000;
/** Longest pattern, UTF-16 units: compiling one takes time as well. */
const MAX_LENGTH = 1_000;

const BOUND = 'Write a shorter one, or smaller numbers of repeats.';

/**
 * A regular expression in RE2's syntax, as CEL has it: no back-references and no look-around, so that every match takes
 * time linear in the length of the text. It is found anywhere in the text, unless `^` and `$` say otherwise.
 */
export function compilePattern(pattern: string, offset: number): (text: string) => boolean {
  const refuse = (message: string, mend: string) => new UnsupportedExpression(offset, message, mend);
  if (pattern.length > MAX_LENGTH)
    throw refuse(`A pattern of ${pattern.length} characters is too long; ${MAX_LENGTH} are allowed.`, BOUND);
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    const said = (error as Error).message.replace(/^error parsing regexp: /, '').replace(/\.$/, '');
    throw refuse(`The pattern '${pattern}' is not a regular expression of RE2: ${said}.`, mendOf(pattern));
  }
  if (compiled.programSize() > MAX_PROGRAM)
    throw refuse(
      `The pattern '${pattern}' compiles to ${compiled.programSize()} steps; ${MAX_PROGRAM} are allowed.`,
      BOUND,
    );
  return (text) => compiled.test(text);
}

function mendOf(pattern: string): string {
  if (/\(\?<?[=!]/.test(pattern))
    return 'RE2 has no look-around, so that no match takes long: write several conditions, joined by && and !.';
  if (/\\[1-9]/.test(pattern))
    return 'RE2 has no back-references, so that no match takes long: write the pattern without.';
  if (/\\u/.test(pattern)) return 'Write a character by its number as \\x{1F600}.';
  return 'Correct the pattern.';
}
