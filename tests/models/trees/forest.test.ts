import { describe, expect, it } from 'vitest';
import { type Artefact, addressOf, parseArtefact, serialiseArtefact } from '../../../models/artefact.ts';
import { createForest, type Forest, faultOfForest } from '../../../models/trees/forest.ts';
import { manifestOf } from '../fixtures.ts';

/**
 *  tree 0          a <= 1 (null left)        tree 1: one leaf
 *                 /          \
 *           b <= 5 (right)    leaf 2: 4             leaf 3: 10
 *           /      \
 *      leaf 0: 1   leaf 1: 2
 */
const forest: Forest = {
  features: 2,
  precision: 'double',
  bias: 100,
  roots: Int32Array.of(0, ~3),
  feature: Int32Array.of(0, 1),
  threshold: Float64Array.of(1, 5),
  left: Int32Array.of(1, ~0),
  right: Int32Array.of(~2, ~1),
  nullLeft: Uint8Array.of(1, 0),
  leaves: Float64Array.of(1, 2, 4, 10),
};

const logit = (of: Forest, ...row: number[]) => createForest(of).logit(Float64Array.from(row), 0);

describe('a forest', () => {
  it('adds up the leaves that a row reaches; what equals a threshold goes left', () => {
    expect(logit(forest, 1, 5)).toBe(111);
    expect(logit(forest, 1, 5.1)).toBe(112);
    expect(logit(forest, 1.1, 0)).toBe(114);
  });

  it('sends a null where each node says, and what no feature should hold with it', () => {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, -1e200]) {
      expect(logit(forest, odd, 0)).toBe(111);
      expect(logit(forest, 0, odd)).toBe(112);
    }
  });

  it('of single precision rounds rows and sums', () => {
    const single = {
      ...forest,
      precision: 'single' as const,
      threshold: Float64Array.of(Math.fround(0.1), 5),
    };
    expect(logit(single, 0.1, 0)).toBe(111);
    expect(logit({ ...single, precision: 'double' }, 0.1 + 1e-8, 0)).toBe(114);
    expect(logit({ ...single, precision: 'single' }, 0.1 + 1e-10, 0)).toBe(111);
    expect(logit({ ...single, bias: 0.1 }, 0, 0)).toBe(Math.fround(11 + 0.1));
  });

  it('without trees is its bias', () => {
    const none = new Int32Array(0);
    const empty = { ...forest, roots: none, feature: none, left: none, right: none };
    expect(
      logit(
        {
          ...empty,
          threshold: new Float64Array(0),
          nullLeft: new Uint8Array(0),
          leaves: new Float64Array(0),
        },
        1,
        1,
      ),
    ).toBe(100);
  });
});

describe('a forest that is none', () => {
  const int = (...values: number[]) => Int32Array.from(values);
  const cases: ReadonlyArray<readonly [string, Partial<Forest>, string]> = [
    [
      'a child that is not there',
      { right: int(7, ~1) },
      'the right child of its node 0 is node 7, but there are 2',
    ],
    [
      'a leaf that is not there',
      { left: int(1, ~9) },
      'the left child of its node 1 is leaf 9, but there are 4',
    ],
    ['a circle', { left: int(1, 0) }, 'the left child of its node 1 is node 0, which does not come after it'],
    ['its own child', { left: int(1, 1) }, 'does not come after it'],
    [
      'two parents',
      { left: int(1, ~2) },
      'the left child of its node 1 is leaf 2, which has a parent already',
    ],
    ['a shared root', { roots: int(0, 0) }, 'the root of its tree 1 is node 0, which has a parent already'],
    [
      'a root that is a child',
      { roots: int(0, 1) },
      'the left child of its node 0 is node 1, which has a parent',
    ],
    ['a lost leaf', { roots: int(0) }, 'its leaf 3 belongs to no tree'],
    ['a lost node', { roots: int(1, ~3), left: int(~1, ~0), right: int(~2, ~3) }, 'has a parent already'],
    [
      'a node without a parent',
      { left: int(~1, ~0), right: int(~2, ~3), roots: int(0) },
      'its node 1 belongs to no tree',
    ],
    ['an unknown feature', { feature: int(0, 2) }, 'its node 1 asks for feature 2, but there are 2'],
    ['a leaf that is not finite', { leaves: Float64Array.of(1, Number.NaN, 4, 10) }, 'its leaf 1 holds NaN'],
    [
      'a threshold that is no number',
      { threshold: Float64Array.of(1, Number.NaN) },
      'its node 1 has the threshold NaN',
    ],
    [
      'an endless threshold',
      { threshold: Float64Array.of(Infinity, 1) },
      'its node 0 has the threshold Infinity',
    ],
    ['an endless bias', { bias: -Infinity }, 'its bias is -Infinity'],
    ['a third direction', { nullLeft: Uint8Array.of(1, 2) }, 'its node 1 sends nulls neither left'],
    ['lists of two lengths', { threshold: Float64Array.of(1) }, '2 nodes, but 1 thresholds'],
  ];

  it.each(cases)('%s is told in a sentence', (_, change, sentence) => {
    const bad = { ...forest, ...change };
    expect(faultOfForest(bad)).toContain(sentence);
    expect(() => createForest(bad)).toThrow('This model cannot score: ');
  });

  it('is refused when a file of it is read, at its own true address', () => {
    const artefact: Artefact = {
      manifest: manifestOf(['a', 'b']),
      body: { kind: 'trees', ...forest },
      calibration: { kind: 'none' },
    };
    const read = (change: (body: Record<string, unknown>) => void) => {
      const file = JSON.parse(Buffer.from(serialiseArtefact(artefact)).toString('utf8'));
      change(file.body);
      const bytes = Buffer.from(JSON.stringify(file));
      return () => parseArtefact(bytes, addressOf(bytes));
    };
    const packed = (...values: number[]) => Buffer.from(int(...values).buffer).toString('base64');
    expect(read(() => {})().body).toEqual(artefact.body);
    expect(read((body) => Object.assign(body, { left: packed(1, 0) }))).toThrow('does not come after it');
    expect(read((body) => Object.assign(body, { left: packed(1) }))).toThrow('1 left and 2 right children');
    expect(read((body) => Object.assign(body, { left: 'AQ==' }))).toThrow('no list of numbers of 4 bytes');
    expect(read((body) => Object.assign(body, { left: '!' }))).toThrow('body.left: base64');
    expect(read((body) => Object.assign(body, { features: 3 }))).toThrow(
      'read 3 features, its manifest names 2',
    );
    expect(read((body) => Object.assign(body, { depth: 1 }))).toThrow('depth');
    expect(() =>
      serialiseArtefact({ ...artefact, body: { kind: 'trees', ...forest, bias: Number.NaN } }),
    ).toThrow('its bias is NaN');
  });
});
