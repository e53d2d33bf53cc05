import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createExpressionCompiler, type ExpressionType, type ScopeTypes } from '../../config/expression.ts';
import type { EventScope } from '../../schemas/project.ts';

const SCOPE = {
  type: 'string',
  time: 'number',
  delay: 'number',
  distance: 'number',
  zone: 'string',
  paid: 'bool',
  route: { late_1h: 'number', mean_7d: 'number' },
} satisfies ScopeTypes;
const compiler = createExpressionCompiler(SCOPE);

function evaluate(text: string, expected: ExpressionType, scope: EventScope = {}) {
  const result = compiler.compile(text, expected);
  if (!result.ok) throw new Error(result.problem.message);
  return result.expression.evaluate(scope);
}

function problem(text: string, expected: ExpressionType) {
  const result = compiler.compile(text, expected);
  return result.ok ? null : result.problem;
}

describe('expressions', () => {
  it('one that fills the stack is too long, and its sentence is not', () => {
    const texts = [
      `${'delay + '.repeat(12_000)}delay`,
      `${'!'.repeat(50_001)}paid`,
      `${'-'.repeat(50_001)}delay`,
    ];
    for (const text of texts)
      expect(problem(text, text.endsWith('paid') ? 'bool' : 'number')).toMatchObject({
        message: 'The expression is too long, or nested too deep.',
      });
    const deep = `${'('.repeat(20_000)}delay${')'.repeat(20_000)}`;
    expect(problem(deep, 'number')?.message.length).toBeLessThan(400);
  });

  it.each([
    ['delay > 15', 'bool', { delay: 16 }, true],
    ['delay > 15', 'bool', { delay: 15 }, false],
    ['delay / 60', 'number', { delay: 90 }, 1.5],
    ['-delay', 'number', { delay: 4 }, -4],
    ['delay % 7', 'number', { delay: 16 }, 2],
    ['delay in [1, -2, 3]', 'bool', { delay: -2 }, true],
    ['zone in ["UTC", "Europe/Berlin"]', 'bool', { zone: 'UTC' }, true],
    ['type == "a" ? delay : distance', 'number', { type: 'b', delay: 1, distance: 2 }, 2],
    ['zone.startsWith("Europe/") && zone.matches("^.*lin$")', 'bool', { zone: 'Europe/Berlin' }, true],
    ['zone + "!"', 'string', { zone: 'UTC' }, 'UTC!'],
    ['!paid', 'bool', { paid: false }, true],
    ['clip(delay, -60, 300)', 'number', { delay: -99 }, -60],
    ['route.late_1h - route.mean_7d', 'number', { route: { late_1h: 0.5, mean_7d: 0.25 } }, 0.25],
    ['sin(2 * pi * 6 / 24)', 'number', {}, 1],
    ['number(paid) + length(zone)', 'number', { paid: true, zone: 'UTC' }, 4],
    ['log(delay)', 'number', { delay: -1 }, null],
    ['delay / 0', 'number', { delay: 1 }, null],
  ] as const)('%s', (text, expected, scope, value) => {
    expect(evaluate(text, expected, scope)).toBe(value);
  });

  it('reads clocks in UTC and in a zone', () => {
    // Sunday 1 April 2001, 08:30 UTC: summer time has begun in Chicago 30 minutes ago.
    const scope = { time: Date.UTC(2001, 3, 1, 8, 30), zone: 'America/Chicago' };
    expect(evaluate('hour(time)', 'number', scope)).toBe(8);
    expect(evaluate('hour(time, zone)', 'number', scope)).toBe(3);
    expect(evaluate('minute_of_day(time, zone)', 'number', scope)).toBe(210);
    expect(evaluate('hour(local(time, zone))', 'number', scope)).toBe(3);
    expect(evaluate('day_of_week(time)', 'number', scope)).toBe(7);
    expect(evaluate('day_of_month(time)', 'number', scope)).toBe(1);
    expect(evaluate('month(time)', 'number', scope)).toBe(4);
    expect(evaluate('day_of_year(time)', 'number', scope)).toBe(91);
    expect(evaluate('day_of_week(time - 5 * 3600 * 1000, zone)', 'number', scope)).toBe(6);
    expect(evaluate('hour(time, zone)', 'number', { ...scope, zone: 'Nowhere/At_All' })).toBeNull();
  });

  it('knows local times that do not exist', () => {
    const exists = (local: string, zone: string) =>
      evaluate('exists_local(type, zone)', 'bool', { type: local, zone });
    expect(exists('2001-04-01T02:30', 'America/Chicago')).toBe(false);
    expect(exists('2001-04-01T03:00', 'America/Chicago')).toBe(true);
    expect(exists('2001-04-01T02:30', 'America/Phoenix')).toBe(true);
    expect(exists('2001-10-28T01:30', 'America/Chicago')).toBe(true);
    expect(exists('2001-02-29T01:30', 'America/Chicago')).toBe(false);
    expect(exists('yesterday', 'America/Chicago')).toBe(false);
  });

  it.each([
    ['delay > 15', 'bool', {}, null],
    ['delay + distance', 'number', { delay: 1 }, null],
    ['delay == null', 'bool', {}, true],
    ['delay != null', 'bool', { delay: 0 }, true],
    ['null == route.late_1h', 'bool', { route: { late_1h: null } }, true],
    ['has(delay)', 'bool', { delay: null }, false],
    ['has(route.late_1h)', 'bool', { route: { late_1h: 0 } }, true],
    ['coalesce(delay, 7)', 'number', {}, 7],
    ['coalesce(zone, "UTC")', 'string', { zone: 'X' }, 'X'],
    ['delay > 15 && type == "a"', 'bool', { type: 'b' }, false],
    ['delay > 15 && type == "a"', 'bool', { type: 'a' }, null],
    ['delay > 15 || type == "a"', 'bool', { type: 'a' }, true],
    ['delay > 15 || type == "a"', 'bool', { type: 'b' }, null],
    ['!(delay > 15)', 'bool', {}, null],
    ['delay > 15 ? 1 : 2', 'number', {}, null],
    ['hour(time, zone)', 'number', { time: 0 }, null],
    ['delay in [1, 2]', 'bool', {}, null],
  ] as const)('null: %s', (text, expected, scope, value) => {
    expect(evaluate(text, expected, scope)).toBe(value);
  });

  it('finds type errors without an event, and says where', () => {
    expect(problem('1 + delya', 'number')).toEqual({
      offset: 4,
      message: "The expression names 'delya', which is not known here.",
      mend: "Did you mean 'delay'?",
    });
    expect(problem('delay > 1 && zone < 3', 'bool')?.offset).toBe(13);
    expect(problem('zone == 3', 'bool')?.message).toBe('`==` does not work between a text and a number.');
    expect(problem('!delay', 'bool')?.message).toBe('`!` does not work on a number.');
    expect(problem('delay && paid', 'bool')?.message).toBe('`&&` and `||` need a condition on both sides.');
    expect(problem('{"a": 1}.a > 0', 'bool')?.message).toBe('`.` cannot be used in an expression here.');
    expect(problem('zone.matches("(")', 'bool')?.message).toMatch(/^The pattern '\(' is not a regular/);
    expect(problem('zone.split(",") == ["a"]', 'bool')?.message).toBe(
      "The method 'split' cannot be used here.",
    );
    expect(problem('[1, 2].exists(x, x > delay)', 'bool')).not.toBeNull();
    expect(problem('', 'bool')).not.toBeNull();
  });

  it('matches in linear time, with the syntax of RE2', () => {
    const letters = { zone: 'a'.repeat(20_000) };
    const started = performance.now();
    for (const pattern of [
      '^(a+)+$',
      '(a|aa)+b',
      '(a*)*c',
      '^(.*a){12}b',
      '(x+x+)+y',
      'a{0,200}a{400}b',
      '[ab]*a[ab]{200}c',
    ])
      expect(evaluate(`zone.matches("${pattern}")`, 'bool', letters)).toBe(pattern === '^(a+)+$');
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(evaluate('zone.matches("rlin")', 'bool', { zone: 'Berlin' })).toBe(true);
    expect(evaluate('zone.matches("(?i)^berlin$")', 'bool', { zone: 'Berlin' })).toBe(true);
    expect(evaluate('zone.matches(r"^\\p{Lu}\\w+$")', 'bool', { zone: 'Übung' })).toBe(true);
    expect(evaluate('zone.matches(r"^\\w+$")', 'bool', { zone: 'Übung' })).toBe(false);
    expect(evaluate('zone.matches("^.$")', 'bool', { zone: '\u{1f680}' })).toBe(true);
  });

  it.each([
    ['zone.matches("(a)\\\\1")', 'RE2 has no back-references'],
    ['zone.matches("(?!a)b")', 'RE2 has no look-around'],
    ['zone.matches("(?<=a)b")', 'RE2 has no look-around'],
    ['zone.matches("((a{100}){100}){100}")', 'Correct the pattern'],
    ['zone.matches("a{600}b{600}")', 'Write a shorter one'],
    [`zone.matches("${'a'.repeat(1_001)}")`, 'Write a shorter one'],
    ['zone.matches(zone)', 'Write the pattern in quotes'],
  ])('refuses the pattern of %s', (text, mend) => {
    expect(problem(text, 'bool')?.mend).toContain(mend);
  });

  it('bounds what an expression may cost', () => {
    const sum = (n: number) => Array.from({ length: n }, () => 'delay').join(' + ');
    expect(problem(sum(500), 'number')).toBeNull();
    expect(problem(sum(501), 'number')?.message).toBe(
      'The expression takes 1001 operations; 1000 are allowed.',
    );
    const list = Array.from({ length: 900 }, (_, i) => i).join(', ');
    expect(problem(`delay in [${list}]`, 'bool')).toBeNull();
    expect(problem(`${'('.repeat(5_000)}delay${')'.repeat(5_000)}`, 'number')?.message).toContain(
      'cannot be read',
    );
    for (const loop of [
      '[1, 2].all(x, x > delay)',
      '[1, 2].map(x, [3, 4].map(y, x * y)).size() > 1',
      '[[1], [2]].exists(x, x.exists(y, y > delay))',
      '{"a": delay}.all(k, k == "a")',
    ])
      expect(problem(loop, 'bool'), loop).not.toBeNull();
  });

  it('refuses a time zone that does not exist where it is written out', () => {
    expect(problem('hour(time, "Europe/Berln")', 'number')).toEqual({
      offset: 11,
      message: "There is no time zone 'Europe/Berln'.",
      mend: "Did you mean 'Europe/Berlin'?",
    });
    expect(problem('exists_local(zone, "Mars")', 'bool')?.mend).toContain('Write an IANA name');
    expect(problem('month(time, paid ? "UTC" : "Europe/Bern")', 'number')?.offset).toBe(27);
    expect(problem('local(time, coalesce(zone, "")) > 0', 'bool')?.message).toBe("There is no time zone ''.");
    expect(problem('hour(time, coalesce(zone, "Europe/Vienna"))', 'number')).toBeNull();
    expect(problem('min(time, delay) + hour(time, zone)', 'number')).toBeNull();
  });

  it('lets a field be called as every object has it', () => {
    const own = createExpressionCompiler({ constructor: 'number' } as never);
    const result = own.compile('constructor + 1', 'number');
    expect(result.ok && result.expression.evaluate({ constructor: 1 } as never)).toBe(2);
  });

  it('lets a field be called as CEL calls its types', () => {
    const own = createExpressionCompiler({ type: 'string', int: 'number', list: 'bool', hour: 'number' });
    const result = own.compile('list && hour(int) + hour > 1 && type == "x"', 'bool');
    expect(result.ok && result.expression.evaluate({ type: 'x', int: 0, list: true, hour: 2 })).toBe(true);
    expect(result.ok && [...result.expression.names].sort()).toEqual(['hour', 'int', 'list', 'type']);
  });
});

describe('law: closures agree with the evaluator of cel-js where nothing is null', () => {
  const environment = new Environment();
  for (const name of ['a', 'b']) environment.registerVariable(name, 'double');
  environment.registerVariable('s', 'string').registerVariable('p', 'bool');
  const own = createExpressionCompiler({ a: 'number', b: 'number', s: 'string', p: 'bool' });

  const { number, condition } = fc.letrec<{ number: string; condition: string }>((tie) => ({
    number: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('a', 'b', '1.0', '2.5', '-3.0', '0.0'),
      fc
        .tuple(tie('number'), fc.constantFrom('+', '-', '*', '/'), tie('number'))
        .map(([x, op, y]) => `(${x} ${op} ${y})`),
      tie('number').map((x) => `-(${x})`),
      fc.tuple(tie('condition'), tie('number'), tie('number')).map(([c, x, y]) => `(${c} ? ${x} : ${y})`),
    ),
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('p', 'true', 'false', 's == "x"', 's.contains("y")', 's in ["x", "z"]'),
      fc
        .tuple(tie('number'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('number'))
        .map(([x, op, y]) => `(${x} ${op} ${y})`),
      fc
        .tuple(tie('condition'), fc.constantFrom('&&', '||'), tie('condition'))
        .map(([x, op, y]) => `(${x} ${op} ${y})`),
      tie('condition').map((x) => `!(${x})`),
    ),
  }));
  const values = fc.record({
    a: fc.double({ min: -100, max: 100, noNaN: true }),
    b: fc.constantFrom(-3, 0, 1, 2.5),
    s: fc.constantFrom('x', 'y', 'z', ''),
    p: fc.boolean(),
  });

  it('numbers', () => {
    fc.assert(
      fc.property(number, values, (text, scope) => {
        const result = own.compile(text, 'number');
        if (!result.ok) throw new Error(`${text}: ${result.problem.message}`);
        const theirs: number = environment.evaluate(text, scope);
        expect(result.expression.evaluate(scope)).toBe(Number.isFinite(theirs) ? theirs : null);
      }),
      { numRuns: 500 },
    );
  });

  it('conditions', () => {
    fc.assert(
      fc.property(condition, values, (text, scope) => {
        const result = own.compile(text, 'bool');
        if (!result.ok) throw new Error(`${text}: ${result.problem.message}`);
        expect(result.expression.evaluate(scope)).toBe(environment.evaluate(text, scope));
      }),
      { numRuns: 500 },
    );
  });
});
