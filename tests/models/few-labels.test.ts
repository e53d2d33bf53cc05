import { expect, it } from 'vitest';
import { fewLabelsSentence } from '../../models/few-labels.ts';

it('few rows are named, enough are not', () => {
  expect(fewLabelsSentence(12, 2)).toContain('Only 2 rows judge this version, of 12 with a label');
  expect(fewLabelsSentence(9, 1)).toContain('Only 1 row judges');
  expect(fewLabelsSentence(1_000, 100)).toBeNull();
});
