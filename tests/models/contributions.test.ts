import { describe, expect, it } from 'vitest';
import { createRaw, type ModelBody } from '../../models/body.ts';
import { contributionsOf } from '../../models/contributions.ts';
import { encodedNames, fitEncoder } from '../../models/encoder.ts';
import { prepareTraining } from '../../models/trainers.ts';
import { NAMES, randomLayers, syntheticDataset } from './fixtures.ts';

const dataset = syntheticDataset(3_000, 5);
const rowAt = (row: number) => dataset.rows.slice(row * NAMES.length, (row + 1) * NAMES.length);
const encoder = fitEncoder(NAMES, dataset.rows);
const width = encodedNames(encoder).length;
const dense: ModelBody = { kind: 'dense', encoder, layers: randomLayers([width, 7, 5, 1], 3) };
const logistic: ModelBody = {
  kind: 'logistic',
  encoder,
  weights: Float64Array.from({ length: width }, (_, at) => at - 2),
  intercept: 0.25,
};

describe('contributions', () => {
  it.each([
    ['a network', dense],
    ['a regression', logistic],
  ])('of %s and its base sum to the log odds', (_, body) => {
    const raw = createRaw(body);
    for (let row = 0; row < 50; row++) {
      const found = contributionsOf(body, rowAt(row));
      const sum = found?.values.reduce((total, value) => total + value, found.base);
      expect(sum).toBeCloseTo(raw.logit(rowAt(row), 0), 9);
      expect(found?.logit).toBe(raw.logit(rowAt(row), 0));
    }
  });

  it('of a regression start from its intercept', () => {
    expect(contributionsOf(logistic, rowAt(0))?.base).toBeCloseTo(0.25, 9);
  });

  it('of a network have the slope that a small step of the input shows', () => {
    const plain = fitEncoder(['x', 'y'], Float64Array.of(-1, -1, 1, 1), {
      standard: { rank: false, zscore: true, period: null, nulls: 'centre', missing: 'never' },
      features: {},
      rankSteps: 4,
      clip: 4,
      missingShare: 1,
    });
    const body: ModelBody = { kind: 'dense', encoder: plain, layers: randomLayers([2, 6, 1], 8) };
    const raw = createRaw(body);
    const [x, y, step] = [0.7, -0.4, 2 ** -10];
    const at = (a: number, b: number) => raw.logit(Float64Array.of(a, b), 0);
    const found = contributionsOf(body, Float64Array.of(x, y));
    expect(found?.values[0]).toBeCloseTo(((at(x + step, y) - at(x - step, y)) / (2 * step)) * x, 4);
    expect(found?.values[1]).toBeCloseTo(((at(x, y + step) - at(x, y - step)) / (2 * step)) * y, 4);
  });

  it('of trees as they are trained sum to the log odds, and give a column of noise little', async () => {
    const { body } = await prepareTraining('trees', { rounds: 20 }, NAMES).run(dataset);
    const raw = createRaw(body);
    const total = new Float64Array(NAMES.length);
    for (let row = 0; row < 100; row++) {
      const found = contributionsOf(body, rowAt(row));
      expect(found?.method).toBe('shapley');
      const sum = found?.values.reduce((all, value) => all + value, found.base);
      expect(sum).toBeCloseTo(raw.logit(rowAt(row), 0), 9);
      found?.values.forEach((value, at) => {
        total[at] = (total[at] as number) + Math.abs(value);
      });
    }
    const [, mean = 0, hour = 0, noise = 0] = total;
    expect(noise).toBeLessThan(Math.min(mean, hour) / 4);
  });
});
