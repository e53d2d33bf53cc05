import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createArtefactDirectory } from '../../../infrastructure/artefacts/directory.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { inMemory } from '../../../infrastructure/readers/events.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { createRandom } from '../../../models/random.ts';
import { overtakenSentence, trainModel } from '../../../pipelines/training/training.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { HOUR, MINUTE } from '../../../schemas/time.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { selectLabelled } from '../../../streams/archive/labels.ts';
import { outcomeOf } from '../../../streams/explain/outcome.ts';
import { importHistory } from '../../../streams/history/import.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { load } from '../../config/project.ts';

/** Cards that pay fifty times and are settled fifty times; the settlement says fraud mostly for large amounts. */
const files = (join: string) => ({
  'project.yaml': `name: cards
sources:
  - source: payments
    key: card
    out_of_orderness: 1s
    fields: {card: string, payment: string, amount: double, fraud: bool}
    events: {paid: {required: [card, amount]}, settled: {required: [card]}}
`,
  'views/card.yaml': `view: card
entity: [card]
resolution: 1m
event: paid
features: [{name: payments, aggregation: count, windows: [1h]}]
`,
  'models/fraud.yaml': `model: fraud
request: paid
reads: {card: }
features: [card.*, amount]
label: {event: settled, join: ${join}, check: fraud}
trainer: {name: logistic}
`,
});

const START = Date.UTC(2026, 0, 1);

function events(): EventRecord[] {
  const random = createRandom(3);
  const all: EventRecord[] = [];
  for (let card = 0; card < 40; card++)
    for (let i = 0; i < 50; i++) {
      const own = {
        card: `c${card}`,
        payment: `p${card}-${i}`,
        amount: Math.round(random.next() * 10_000) / 100,
      };
      const time = START + i * 6 * HOUR + Math.floor(random.next() * 180) * MINUTE + card;
      const fraud = random.next() < 0.1 + (0.8 * own.amount) / 100;
      all.push({ id: `r${own.payment}`, type: 'paid', time, ...own, fraud: null });
      all.push({ id: `s${own.payment}`, type: 'settled', time: time + 2 * HOUR, ...own, fraud });
    }
  // Neither is settled before its card pays again.
  const again = { card: 'c0', payment: 'p0-50', amount: 1, fraud: null };
  all.push({ id: 'twice', type: 'paid', time: START - 5 * MINUTE, ...again });
  all.push({ id: 'again', type: 'paid', time: START - 4 * MINUTE, ...again });
  return all.sort((a, b) => a.time - b.time);
}

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

async function trained(join_: string) {
  const project = load(files(join_), { prefix: `cards-${join_.includes('card') ? 'card' : 'payment'}` });
  const [model] = project.models;
  const [source] = project.sources;
  if (model === undefined || source === undefined) throw new Error('the project has a model and a source');
  await ensureTables(warehouse, project);
  const file = inMemory('payments', 'a'.repeat(64), events(), true);
  await importHistory({ project, warehouse, source, file, from: null, to: null, now: 1_000 });
  const kafka = createMemoryBroker({ now: Date.now, sleep: async () => {} }).kafka();
  await applyProject({ project, kafka, declared: [] });
  const { models: codec } = await openCodecs(project, createMemoryRegistry());
  const report = await trainModel({
    project,
    model,
    warehouse,
    artefacts: createArtefactDirectory(mkdtempSync(join(tmpdir(), 'millrace-artefacts-'))),
    registry: createModelRegistry({ kafka, codec, prefix: project.prefix }),
    from: null,
    to: null,
    asOf: null,
    as: 'auto',
    by: 'test',
    codeVersion: 'test',
    now: Date.now,
  });
  return { project, model, report };
}

it('learns the same from keys that repeat as from keys that are unique', async () => {
  const unique = await trained('[payment]');
  const repeated = await trained('[card]');
  const { auc, rows } = unique.report.fitted.validation.model;
  expect(auc).toBeGreaterThan(0.7);
  expect(repeated.report.fitted.validation.model).toMatchObject({ auc, rows });
  expect(repeated.report.dataSet.rows).toBe(unique.report.dataSet.rows);
  expect(repeated.report.dataSet.rows).toBe(2_000);
  expect(overtakenSentence(repeated.model, repeated.report.overtaken)).toBe(
    '2 paid stay without a label: the same card was asked again before a settled came (for example twice of 2025-12-31T23:55:00.000Z, asked again by again of 2025-12-31T23:56:00.000Z).',
  );

  // One request is told what it would learn from in a data set.
  for (const { project, model } of [unique, repeated]) {
    const deps = { project, model, warehouse };
    const all = events();
    const range = { from: START - HOUR, to: (all.at(-1)?.time ?? 0) + 1, asOf: START * 2, sample: null };
    const { ids, labels, labelTimes, times } = await selectLabelled(deps, range);
    for (const i of [0, 1, 700, ids.length - 1])
      expect(await outcomeOf(deps, { id: ids[i] ?? '', time: times[i] ?? 0 })).toEqual({
        label: labels[i] === 1,
        at: labelTimes[i],
      });
    const time = START - 5 * MINUTE;
    expect(await outcomeOf(deps, { id: 'twice', time })).toBe(null);
    expect(await outcomeOf(deps, { id: "it's nobody's", time })).toBe(null);
  }
});
