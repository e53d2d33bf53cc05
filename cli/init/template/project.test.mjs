// node --test
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadProject } from 'millrace';
import { generate } from '../generate.mjs';

// settings: from the sample
const SOURCE = 'events';
const TYPE = 'event';
// settings end

const project = loadProject(join(import.meta.dirname, '..'), { environment: process.env });
const source = project.sources.find(({ name }) => name === SOURCE);
const made = () => generate({ seed: 7, days: 2, perDay: 200, until: Date.UTC(2026, 0, 15) });

test('the project is right, and has the event that was sampled', () => {
  assert.ok(source.events.some(({ name }) => name === TYPE));
});

test('generated events have what the source requires', () => {
  const at = (record, path) => path.split('.').reduce((value, step) => value?.[step] ?? null, record);
  const { mapping } = source.format;
  for (const record of made().events)
    for (const field of source.events[0].required)
      assert.notEqual(at(record, mapping.fields[field] ?? field), null, field);
});

test('the same seed makes the same events', () => {
  assert.deepEqual(made(), made());
});
