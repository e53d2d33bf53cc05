import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { afterChange } from '../../cli/dev/after-change.ts';
import { loadProject } from '../../config/load.ts';
import { edited } from '../simulation/definitions.ts';

const before = loadProject(fileURLToPath(new URL('../simulation/project', import.meta.url)), {
  environment: {},
});
const viewChanged = edited('views/line.yaml', (text) => text.replace('of: price > 50', 'of: price > 40'));

it('a view that has changed begins without a past, and a sentence says how it gets one', () => {
  const [sentence, ...others] = afterChange(before, viewChanged.project);
  expect(sentence).toContain('`millrace backfill state --view line --replace`');
  expect(others).toEqual([]);
});

it('a model that has other features needs a version that fits', () => {
  const [model = expect.fail('no model')] = before.models;
  const other = { ...before, models: [{ ...model, layoutHash: 'another' }] };
  expect(afterChange(before, other)).toEqual([
    expect.stringContaining(`\`millrace train ${model.name} --promote\``),
  ]);
});

it('nothing is to be done where nothing has changed', () => {
  expect(afterChange(before, before)).toEqual([]);
});
