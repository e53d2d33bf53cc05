import { describe, expect, it } from 'vitest';
import { functionsOf, type SourceFunction } from './functions.ts';
import { read, sourceFiles } from './sources.ts';

/** A function that docs/architecture/flow.md names, and those below it. */
interface Step {
  readonly name: string;
  readonly file: string;
  readonly steps: Step[];
}

type Source = (file: string) => readonly SourceFunction[];

const STEP = /^( *)- `([\w.#]+)` \(([\w./-]+)\)/;

/** The lists of steps on a page; two spaces further in is one level below. */
function stepsOn(page: string): Step[] {
  const roots: Step[] = [];
  let way: Step[] = [];
  for (const line of page.split('\n')) {
    const [, spaces = '', name, file] = STEP.exec(line) ?? [];
    if (name === undefined || file === undefined) continue;
    const depth = spaces.length / 2;
    const step: Step = { name, file, steps: [] };
    if (depth === 0) roots.push(step);
    else if (way[depth - 1] === undefined) throw new Error(`Nothing stands above: ${line}`);
    else way[depth - 1]?.steps.push(step);
    way = [...way.slice(0, depth), step];
  }
  return roots;
}

const lastName = (name: string) => name.slice(name.lastIndexOf('.') + 1);

/** What a page says of the order of steps that the sources do not do. */
function wrongSteps(steps: readonly Step[], source: Source): string[] {
  return steps.flatMap((step) => {
    const { name, file } = step;
    const found = source(file).find((one) => one.name === name);
    if (found === undefined) return [`${file} has no function ${name}`];
    const wrong: string[] = [];
    let at = 0;
    for (const below of step.steps) {
      const next = found.calls.findIndex((call, i) => i >= at && call.name === lastName(below.name));
      if (next >= 0) at = next + 1;
      else wrong.push(`${name} of ${file} does not call ${below.name} where the page says`);
    }
    return [...wrong, ...wrongSteps(step.steps, source)];
  });
}

/** Steps of a stream's loop (they are awaited, and take the context) that the page leaves out. */
function missingSteps({ name, file, steps }: Step, source: Source): string[] {
  const named = new Set(steps.map((step) => lastName(step.name)));
  const calls = source(file).find((one) => one.name === name)?.calls ?? [];
  return calls
    .filter((call) => call.awaited && call.firstArgument === 'context' && !named.has(call.name))
    .map((call) => `${file}: the loop calls ${call.name}, which the page does not name`);
}

const loopsOf = (steps: readonly Step[]) => steps.filter(({ name }) => name === 'runLoop');

describe('docs/architecture/flow.md', () => {
  const steps = stepsOn(read('docs/architecture/flow.md'));
  const known = new Map<string, readonly SourceFunction[]>();
  const source: Source = (file) => {
    const functions = known.get(file) ?? functionsOf(file);
    known.set(file, functions);
    return functions;
  };

  it('tells of every stream of the data plane', () => {
    const streams = sourceFiles('streams').filter((file) => /\basync function runLoop\b/.test(read(file)));
    expect(
      loopsOf(steps)
        .map(({ file }) => file)
        .sort(),
    ).toEqual(streams.sort());
  });

  it('names the functions that an event passes, in their order', () => {
    expect(wrongSteps(steps, source)).toEqual([]);
  });

  it('leaves out no step of a loop', () => {
    expect(loopsOf(steps).flatMap((loop) => missingSteps(loop, source))).toEqual([]);
  });
});

describe('a page about functions', () => {
  const page =
    '- `runLoop` (a.ts): x\n  - `first` (a.ts): y\n    - `Deep.#down` (b.ts)\n  - `second` (a.ts): z\n';
  const a = (loop: string) =>
    `async function runLoop() { ${loop} }
     async function first(context: object) { await deep.#down(); }
     const second = async (context: object) => {};`;
  const wrong = (loop: string, b = 'class Deep { #down() {} }') => {
    const source: Source = (file) => functionsOf(file, file === 'a.ts' ? a(loop) : b);
    const steps = stepsOn(page);
    return [...wrongSteps(steps, source), ...steps.flatMap((step) => missingSteps(step, source))];
  };

  it('is right where the sources do what it says', () => {
    expect(wrong('while (true) { await first(context); await second(context); }')).toEqual([]);
    expect(wrong('run(second(context, await first(context)));')).toEqual([]);
  });

  it.each([
    ['reordered', 'await second(context); await first(context);'],
    ['removed', 'await first(context);'],
    ['renamed', 'await first(context); await third(context);'],
    ['added', 'await first(context); await third(context); await second(context);'],
  ])('is wrong where a step was %s', (_, loop) => {
    expect(wrong(loop)).not.toEqual([]);
  });

  it('is wrong where a function is gone from its file', () => {
    expect(wrong('await first(context); await second(context);', 'class Deep { #up() {} }')).toEqual([
      'b.ts has no function Deep.#down',
    ]);
  });
});
