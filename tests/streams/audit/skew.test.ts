import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { tables, topics } from '../../../schemas/names.ts';
import { auditSkew } from '../../../streams/audit/skew.ts';
import { NOT_CUT } from '../../../streams/runtime/dead-letter-record.ts';
import { archiveWorld } from '../../simulation/archived-world.ts';
import { World } from '../../simulation/world.ts';

describe('events that live refused and training takes', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  it('are late ones and mended letters that stand in history, and contributions that only an earlier version refused', async () => {
    const world = await World.create();
    const { broker, codecs, project, source } = world;
    const view = project.views.find(({ name }) => name === 'zone') ?? expect.fail('no view');
    const letters = [
      // Two came late: one was imported since, the other is a repeat of an event that was accepted.
      { code: 'late', stage: 'lateness', writer: 'ingest', sourceOffset: 1, eventId: 'imported' },
      { code: 'late', stage: 'lateness', writer: 'ingest', sourceOffset: 2, eventId: 'accepted' },
      { code: 'rule_failed', stage: 'validate', writer: 'ingest', sourceOffset: 5, eventId: 'mended' },
      // An earlier version refused two; this one refused one of them as well.
      { code: 'late_for_view', stage: 'features', writer: 'zone@0ld:0', sourceOffset: 3, eventId: null },
      { code: 'late_for_view', stage: 'features', writer: 'zone@0ld:0', sourceOffset: 4, eventId: null },
      { code: 'late_for_view', stage: 'features', writer: `${view.id}:0`, sourceOffset: 4, eventId: null },
    ];
    const producer = await broker.kafka().producer();
    await producer.send(
      letters.map((letter) => ({
        topic: topics.deadLetters(project.prefix, source.name),
        partition: 0,
        key: null,
        value: codecs.deadLetters.encode({
          format: 1,
          detail: '',
          sourceTopic: topics.raw(project.prefix, source.name),
          sourcePartition: 0,
          appendTime: 0,
          arrivedAt: null,
          eventTime: 1_000,
          key: null,
          value: null,
          ...NOT_CUT,
          ...letter,
        }),
      })),
    );
    await archiveWorld(world, warehouse);
    const time = new Date(1_000).toISOString();
    const row = { type: 'trip.started', time, source_topic: '', source_offset: 0 };
    await warehouse.insert(
      tables.events(project.prefix, source.name),
      [
        { ...row, id: 'imported', import_id: 'file' },
        { ...row, id: 'mended', import_id: 'dead-letters', source_offset: 5 },
        { ...row, id: 'accepted', import_id: '', source_offset: 0 },
      ],
      { token: 'skew' },
    );
    const books = { project, kafka: broker.kafka(), warehouse, codecs, kept: [], tick: () => {} };
    expect(await auditSkew(books, source)).toEqual({
      source: source.name,
      late: 2,
      lateForView: { [view.id]: 1 },
    });
  });
});
