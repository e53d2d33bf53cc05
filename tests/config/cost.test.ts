import { describe, expect, it } from 'vitest';
import { matchesGlob } from '../../config/glob.ts';
import { edited, lines, problems } from './project.ts';

/** `f1: f0 + f0`, `f2: f1 + f1`, and so on: each asks twice for the one before. */
function doubling(depth: number): Record<string, string> {
  const features = Array.from({ length: depth }, (_, i) => `  - f${i + 1}: f${i} + f${i}`);
  return edited(
    'models/returns.yaml',
    '  - per_item: amount / items\n',
    `  - per_item: amount / items\n  - f0: amount + 1\n${features.join('\n')}\n`,
  );
}

describe('computed features that use one another', () => {
  it('may not cost more together than a bound, though each is short', () => {
    expect(problems(doubling(8))).toEqual([]);
    const said = lines(problems(doubling(40)));
    expect(said[0]).toMatch(
      /'f11' takes 12,285 operations with the features that it uses, each once for every time that it is named; 10,000 are allowed\. Name those features fewer times\.$/,
    );
    expect(said).toHaveLength(1);
  });
});

describe('a pattern of names', () => {
  it('takes time linear in the name, however many stars it has', () => {
    expect(matchesGlob('a'.repeat(50_000), `${'*a'.repeat(200)}*b`)).toBe(false);
    expect(matchesGlob('origin.late_1h', 'origin.*')).toBe(true);
    expect(matchesGlob('origin.late_1h', '*late*1h')).toBe(true);
    expect(matchesGlob('origin.late_1h', 'origin')).toBe(false);
    expect(matchesGlob('ab', 'ab*b')).toBe(false);
    expect(matchesGlob('abb', 'ab*b')).toBe(true);
    expect(matchesGlob('a.b', 'a?b')).toBe(false);
  });
});
