import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import { createMemoryArtefacts } from '../../../infrastructure/memory/artefacts.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { tables } from '../../../schemas/names.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { dryRun } from '../../../streams/letters/dry-run.ts';
import { lookAtLetters } from '../../../streams/letters/look.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { edited, FILES, load } from '../../config/project.ts';

let warehouse: MemoryWarehouse;
beforeAll(async () => {
  warehouse = await createMemoryWarehouse();
});
afterAll(() => warehouse.close());

const NOW = Date.UTC(2026, 0, 1);
const iso = (time: number) => new Date(time).toISOString();

it('reads letters from the archive and judges them by a mended rule', async () => {
  const format = 'format: {json: {id: id, type: type, time: {path: at, unit: ms}}}\n    key: order_id';
  const project = load(
    { ...FILES, ...edited('project.yaml', 'key: order_id', format) },
    { prefix: 'letters' },
  );
  const [source] = project.sources;
  if (source === undefined) throw new Error('the project has a source');
  await ensureTables(warehouse, project);
  let offset = 0;
  const letter = (id: string, value: string | null, more: object = {}) => ({
    stage: 'validate',
    code: 'rule_failed',
    detail: '',
    writer: 'ingest',
    source_topic: 'letters.orders.raw',
    source_partition: 0,
    source_offset: offset++,
    append_time: iso(NOW),
    event_id: id,
    event_time: iso(NOW),
    value,
    refused_time: iso(NOW),
    archived_partition: 0,
    archived_offset: offset,
    ...more,
  });
  const value = (id: string, amount: number) =>
    JSON.stringify({ id, type: 'order.placed', at: NOW, order_id: id, customer: 'c', amount });
  const rows = [
    letter('a', value('a', 1)),
    letter('b', value('b', -1)),
    letter('c', value('c', 1).slice(0, 9), { value_bytes: 5_000_000 }),
    letter('d', null, { code: 'late_for_view', writer: 'customer@1:0' }),
    letter('e', value('e', 1)),
    letter('row of a file', value('f', 1), { source_topic: '' }),
  ];
  await warehouse.insert(tables.deadLetters('letters', 'orders'), rows, { token: 'letters' });
  const accepted = {
    id: 'e',
    type: 'order.placed',
    time: iso(NOW),
    source_topic: 'raw',
    append_time: iso(NOW),
  };
  await warehouse.insert(tables.events('letters', 'orders'), [accepted], { token: 'events' });

  const codecs = await openCodecs(project, createMemoryRegistry());
  const kafka = createMemoryBroker({ now: () => NOW, sleep: async () => {} }).kafka();
  await applyProject({ project, kafka, declared: [] });
  const deps = { project, kafka, warehouse, store: createMemoryStore(), codecs, now: NOW };
  const look = async (selection: object = {}) => {
    const all = { reason: null, since: null, event: null, limit: 100 };
    const judged = await lookAtLetters(deps, source, { ...all, ...selection });
    return judged.map(({ letter: { place }, outcome, code }) => [place.offset, outcome, code]);
  };
  expect(await look()).toEqual([
    [0, 'live', null],
    [1, 'refused', 'rule_failed'],
    [2, 'gone', null],
    [3, 'gone', null],
    [4, 'repeat', null],
  ]);
  expect(await look({ reason: 'late_for_view' })).toEqual([[3, 'gone', null]]);
  expect(await look({ event: 'b' })).toEqual([[1, 'refused', 'rule_failed']]);
  expect(await look({ since: NOW + 1 })).toEqual([]);
  expect(await look({ limit: 1 })).toEqual([[0, 'live', null]]);

  const imported = async (reason: string | null) => {
    const selection = { reason, since: null, event: null, limit: 100 };
    const replay = { source, selection, fix: null, reason: '', who: '' };
    const { letters } = await dryRun({ ...deps, artefacts: createMemoryArtefacts() }, [replay], false);
    return letters.filter(({ outcome }) => outcome === 'imported');
  };
  expect(await imported(null)).toEqual([
    {
      source: 'orders',
      reason: 'rule_failed',
      outcome: 'imported',
      code: null,
      letters: 1,
      example: 'row of a file',
    },
  ]);
  expect(await imported('late_for_view')).toEqual([]);
});
