import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDense, type DenseLayer, sigmoid } from '../../models/dense.ts';
import { randomLayers } from './fixtures.ts';

/** The textbook, unit by unit. */
function naive(layers: readonly DenseLayer[], input: readonly number[]): number {
  let values = [...input];
  for (const layer of layers) {
    values = Array.from({ length: layer.units }, (_, unit) => {
      let sum = layer.bias[unit] ?? 0;
      values.forEach((value, i) => {
        sum += value * (layer.kernel[i * layer.units + unit] ?? 0);
      });
      return layer.activation === 'relu' && !(sum > 0) ? 0 : sum;
    });
  }
  return values[0] ?? Number.NaN;
}

describe('dense network', () => {
  it('computes what a pencil does', () => {
    const network = createDense([
      {
        inputs: 2,
        units: 2,
        activation: 'relu',
        kernel: Float32Array.of(1, -1, 2, 0.5),
        bias: Float32Array.of(0.5, 0),
      },
      { inputs: 2, units: 1, activation: 'linear', kernel: Float32Array.of(2, 8), bias: Float32Array.of(-1) },
    ]);
    // units: relu(0.5 + 3 + 2) = 5.5 and relu(-3 + 0.5) = 0; output: -1 + 11
    expect(network.logit(Float32Array.of(3, 1))).toBe(10);
  });

  it('law: the same bits as the naive network, for every shape', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 19 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 1000 }),
        (hidden, seed) => {
          const layers = randomLayers([...hidden, 1], seed);
          const input = randomLayers([hidden[0] ?? 1, 1], seed + 1)[0]?.kernel ?? new Float32Array();
          expect(createDense(layers).logit(input)).toBe(naive(layers, [...input]));
        },
      ),
    );
  });

  it('law: a score does not depend on what was scored before', () => {
    const layers = randomLayers([7, 5, 1], 3);
    const inputs = Array.from(
      { length: 20 },
      (_, i) => randomLayers([7, 1], i)[0]?.kernel ?? new Float32Array(),
    );
    const network = createDense(layers);
    const forwards = inputs.map((input) => network.logit(input));
    const backwards = [...inputs].reverse().map((input) => network.logit(input));
    expect(backwards.reverse()).toEqual(forwards);
    expect(forwards).toEqual(inputs.map((input) => createDense(layers).logit(input)));
  });

  it('keeps the logistic function finite and symmetric at both ends', () => {
    expect(sigmoid(0)).toBe(0.5);
    expect(sigmoid(-1000)).toBe(0);
    expect(sigmoid(1000)).toBe(1);
    expect(sigmoid(2) + sigmoid(-2)).toBeCloseTo(1, 15);
  });

  it('refuses layers that do not fit, in one sentence', () => {
    const [first, second] = randomLayers([3, 4, 1], 1);
    if (first === undefined || second === undefined) throw new Error('two layers');
    expect(() => createDense([])).toThrow('at least one layer');
    expect(() => createDense([second, first])).toThrow('takes 3 inputs but is given 1');
    expect(() => createDense([first])).toThrow('one linear unit');
    expect(() => createDense([first, { ...second, kernel: new Float32Array(3) }])).toThrow('3 weights');
    expect(() => createDense([first, { ...second, bias: Float32Array.of(Number.NaN) }])).toThrow(
      'not a finite number',
    );
  });
});
