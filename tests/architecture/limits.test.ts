import { describe, expect, it } from 'vitest';
import { functionsOf } from './functions.ts';
import { read, sourceFiles } from './sources.ts';

/** A file or function that is longer has a second idea in it. */
const MOST_FILE_LINES = 299;
/** From a function's first line to its last; what is nested in it counts. */
const MOST_FUNCTION_LINES = 59;

const linesOf = (code: string) => code.trimEnd().split('\n').length;

const longFunctions = (file: string, code = read(file)) =>
  functionsOf(file, code)
    .filter(({ lines }) => lines > MOST_FUNCTION_LINES)
    .map(({ line, lines, name }) => `${file}:${line} ${name} has ${lines} lines`);

describe('the data plane can be read', () => {
  const files = sourceFiles('streams');

  it(`files have at most ${MOST_FILE_LINES} lines`, () => {
    expect(files.filter((file) => linesOf(read(file)) > MOST_FILE_LINES)).toEqual([]);
  });

  it(`functions have at most ${MOST_FUNCTION_LINES} lines`, () => {
    expect(files.flatMap((file) => longFunctions(file))).toEqual([]);
  });

  it('finds a long function however it is written', () => {
    const body = `{\n${'  step();\n'.repeat(58)}}`;
    const short = `{\n${'  step();\n'.repeat(57)}}`;
    const code = [
      `function declared() ${body}`,
      `const arrow = async (): Promise<void> => ${body};`,
      `class Long { method(): void ${body} }`,
      `const object = { property() ${body} };`,
      `function fine() ${short}`,
    ].join('\n');
    expect(longFunctions('x.ts', code).map((line) => line.split(' ')[1])).toEqual([
      'declared',
      'arrow',
      'Long.method',
      'property',
    ]);
  });
});
