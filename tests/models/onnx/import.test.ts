import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOf, parseArtefact, serialiseArtefact } from '../../../models/artefact.ts';
import { justBelow } from '../../../models/onnx/ensemble.ts';
import { readGraph } from '../../../models/onnx/graph.ts';
import { type ImportedModel, importOnnx, type RecordedExample } from '../../../models/onnx/import.ts';
import { OnnxError } from '../../../models/onnx/protobuf.ts';
import { createScorer } from '../../../models/scorer.ts';
import { manifestOf } from '../fixtures.ts';

const FEATURES = ['a', 'b', 'c', 'd', 'e'];
const directory = new URL('../fixtures/onnx/', import.meta.url);
const fileOf = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.onnx`, directory)));

function examplesOf(name: string): RecordedExample[] {
  const lines = readFileSync(new URL(`${name}.jsonl`, directory), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => {
    const { vector, score } = JSON.parse(line) as { vector: (number | null)[]; score: number };
    return { vector: Float64Array.from(vector, (value) => value ?? Number.NaN), score };
  });
}

const imported = (name: string, features = FEATURES): ImportedModel =>
  importOnnx(fileOf(name), { features, examples: examplesOf(name) });

describe('an ONNX file made by its own library', () => {
  it.each([
    ['lightgbm', 'trees', 'OnnxMLTools'],
    ['lightgbm-matrix', 'trees', 'OnnxMLTools'],
    ['lightgbm-positive', 'trees', 'OnnxMLTools'],
    ['xgboost', 'trees', 'OnnxMLTools'],
    ['xgboost-sigmoid', 'trees', 'OnnxMLTools'],
    ['random-forest', 'trees', 'skl2onnx'],
    ['network', 'dense', 'unknown'],
  ])(
    '%s scores as onnxruntime did, to 1e-6, and again when it was written and read',
    (name, kind, producer) => {
      const { body, calibration, importance, difference, ...rest } = imported(name);
      expect(body.kind).toBe(kind);
      expect(rest.producer).toContain(producer);
      expect(difference).toBeLessThanOrEqual(1e-6);
      expect(importance.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
      const manifest = { ...manifestOf(FEATURES), importance: [...importance], dataset: null };
      const bytes = serialiseArtefact({ manifest, body, calibration });
      const scorer = createScorer(parseArtefact(bytes, addressOf(bytes)));
      for (const { vector, score } of examplesOf(name))
        expect(Math.abs(scorer.score(vector) - score)).toBeLessThanOrEqual(1e-6);
    },
  );

  it('has nulls among its examples, so that their way is checked too', () => {
    const nulls = examplesOf('xgboost').filter(({ vector }) => vector.some(Number.isNaN));
    expect(nulls.length).toBeGreaterThan(10);
  });
});

describe('an ONNX file that is not taken', () => {
  const refusal = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      if (error instanceof OnnxError) return error.message;
      throw error;
    }
    return 'taken';
  };

  it.each([
    ['network-tanh', 'The ONNX graph uses the operator Tanh; supported are TreeEnsembleClassifier,'],
    [
      'lightgbm-categories',
      'compares by BRANCH_EQ; BRANCH_LEQ, BRANCH_LT, BRANCH_GT, BRANCH_GTE are supported',
    ],
    ['xgboost-margin', 'which is no probability: export the model with its Sigmoid or as a classifier.'],
  ])('%s', (name, sentence) => {
    expect(refusal(() => imported(name))).toContain(sentence);
  });

  it('was made for other features, or has no examples to prove itself by', () => {
    expect(refusal(() => imported('xgboost', ['a', 'b']))).toBe(
      'The ONNX model reads 5 features, but the model declares 2: export it for the declared ones, in their order.',
    );
    const examples = examplesOf('xgboost');
    const check = (own: RecordedExample[]) =>
      refusal(() => importOnnx(fileOf('xgboost'), { features: FEATURES, examples: own }));
    expect(check([])).toContain('at least 10 recorded examples, not on 0');
    expect(check(examples.map(({ vector, score }) => ({ vector, score: score + 2e-6 })))).toContain(
      'Example 1 was recorded with the score',
    );
    expect(check(examples.map(({ score }) => ({ vector: new Float64Array(4), score })))).toContain(
      'Example 1 has 4 values, but the model has 5 features.',
    );
    expect(check(examples.map(({ vector }) => ({ vector, score: Number.NaN })))).toContain('no probability');
    // The first two features the other way round.
    const swapped = examples.map(({ vector: [a = 0, b = 0, ...rest], score }) => ({
      vector: Float64Array.of(b, a, ...rest),
      score,
    }));
    expect(check(swapped)).toContain('another order of them');
  });

  it('is no ONNX file at all', () => {
    const text = (words: string) => refusal(() => readGraph(new TextEncoder().encode(words)));
    expect(text('')).toBe('This is no ONNX file: it holds no graph.');
    expect(text('{"format":"millrace-model/2"}')).toContain('This is no ONNX file');
  });

  it('names what it does not know in one line, whatever characters the name has', () => {
    expect(new OnnxError('The ONNX graph uses the operator Sigm\nid.').message).toBe(
      'The ONNX graph uses the operator Sigm\\u000aid.',
    );
  });

  it('law: whatever bytes it has, it is taken or refused in one sentence', () => {
    const files = ['xgboost-sigmoid', 'network', 'lightgbm-positive'].map((name) => ({
      bytes: fileOf(name),
      examples: examplesOf(name),
    }));
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { maxLength: 4 }),
        fc.option(fc.nat(10_000)),
        ({ bytes, examples }, changes, length) => {
          const altered = Uint8Array.from(bytes);
          for (const [at, value] of changes) altered[at % altered.length] = value;
          const cut = length === null ? altered : altered.subarray(0, length % altered.length);
          const said = refusal(() => importOnnx(cut, { features: FEATURES, examples }));
          expect(said === 'taken' || /^[A-Z][^\n]*\.$/s.test(said)).toBe(true);
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe('the number of single precision before another', () => {
  it('makes "less than" of "at most"', () => {
    expect(justBelow(1)).toBe(1 - 2 ** -24);
    expect(justBelow(0)).toBe(-(2 ** -149));
    expect(justBelow(-1)).toBe(-1 - 2 ** -23);
    expect(justBelow(Number.POSITIVE_INFINITY)).toBe(3.4028234663852886e38);
    fc.assert(
      fc.property(fc.float({ noNaN: true }), fc.float({ noNaN: true }), (x, bound) => {
        fc.pre(bound !== Number.NEGATIVE_INFINITY);
        expect(x <= justBelow(bound)).toBe(x < bound);
      }),
    );
  });
});
