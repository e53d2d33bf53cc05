import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entityKey, keyOfParts } from '../../processors/entity-key.ts';

/** Texts in which separators, lengths and what stands for long keys are frequent. */
const awkward = fc.oneof(
  fc.string(),
  fc
    .array(fc.constantFrom('|', ':', '0', '1', '3', 'a', '', 'sha256', '\0', '\n', '{', '}', '\u{1f680}'))
    .map((parts) => parts.join('')),
  fc.string({ minLength: 1_020, maxLength: 1_030 }),
);

describe('the key of an entity', () => {
  it('is the text itself, or the texts joined by |', () => {
    expect(keyOfParts(['ORD'])).toBe('ORD');
    expect(keyOfParts(['ORD', 'LGA'])).toBe('ORD|LGA');
    expect(keyOfParts(['a|b'])).toBe('a|b');
    expect(keyOfParts(['a|b', ''])).toBe('|3:a|b0:');
  });

  it('law: other texts make another key, however many fields there are', () => {
    const pair = fc
      .integer({ min: 1, max: 3 })
      .chain((n) =>
        fc.tuple(
          fc.array(awkward, { minLength: n, maxLength: n }),
          fc.array(awkward, { minLength: n, maxLength: n }),
        ),
      );
    fc.assert(
      fc.property(pair, ([one, other]) => {
        expect(keyOfParts(one) === keyOfParts(other)).toBe(one.every((part, i) => part === other[i]));
      }),
      { numRuns: 2_000 },
    );
    expect(keyOfParts(['a', 'b|c'])).not.toBe(keyOfParts(['a|b', 'c']));
  });

  it('is never longer than 1,024 units', () => {
    const long = 'x'.repeat(1_000_000);
    expect(keyOfParts([long])).toMatch(/^\|sha256:[0-9a-f]{64}$/);
    expect(keyOfParts([long])).not.toBe(keyOfParts([`${long}y`]));
    expect(keyOfParts([long, 'a'])).not.toBe(keyOfParts([long, 'b']));
  });

  it('takes defaults for what is null, and is null without', () => {
    const event = { id: '1', type: 't', time: 0, card: null, n: -0, empty: '' };
    expect(entityKey(event, ['card'])).toBeNull();
    expect(entityKey(event, ['missing'])).toBeNull();
    expect(entityKey(event, ['card'], { card: 'none' })).toBe('none');
    expect(entityKey(event, ['n', 'card'], { card: 'none' })).toBe('0|none');
    expect(entityKey(event, ['empty'], { empty: 'none' })).toBe('');
  });
});
