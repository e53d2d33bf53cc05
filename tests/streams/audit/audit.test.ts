import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { createMemoryWarehouse, type MemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { registerVersion } from '../../../pipelines/rollout/moves.ts';
import { FRESH_PROGRESS } from '../../../processors/lateness.ts';
import { headers, tables, topics } from '../../../schemas/names.ts';
import { audit } from '../../../streams/audit/audit.ts';
import { encodeProgress, progressKey } from '../../../streams/ingest/progress.ts';
import { Archived, type Sent, wall } from '../archive/archived.ts';

/** One raw record and what became of it: accepted (and asked the model), refused, a clock. Those of no readable batch come last. */
type Raw = 'accepted' | 'refused' | 'late' | 'clock' | 'unreadable';

describe('audit', () => {
  let warehouse: MemoryWarehouse;
  beforeAll(async () => {
    warehouse = await createMemoryWarehouse();
  });
  afterAll(() => warehouse.close());

  async function world(
    records: readonly Raw[],
    drop: (sent: Sent) => boolean = () => false,
    broker = createMemoryBroker(wall),
  ) {
    const archived = await Archived.create(broker.kafka(), warehouse);
    const { project, kafka, codecs } = archived;
    const { prefix } = project;
    const producer = await kafka.producer();
    const topic = topics.raw(prefix, 'trips');
    await producer.send(
      records
        .filter((kind) => kind !== 'unreadable')
        .map((kind) =>
          kind === 'clock'
            ? { topic, partition: 0, key: null, value: null, headers: { [headers.clock]: '1' } }
            : { topic, partition: 0, key: null, value: new Uint8Array([1]) },
        ),
    );
    await producer.close();
    const unreadable = { detail: 'it cannot be unpacked', bytes: 77_000, sha256: 'abc' };
    for (const kind of records)
      if (kind === 'unreadable')
        broker.appendRaw({ topic, partition: 0, key: null, value: null, unreadable });
    const sent: Sent[] = records.flatMap((kind, offset): Sent[] => {
      const place = { partition: 0, offset };
      if (kind === 'accepted')
        return [
          { kind: 'event', ...place, note: `e${offset}` },
          { kind: 'prediction', ...place, note: `p${offset}` },
        ];
      if (kind === 'clock') return [{ kind: 'clock', partition: 0, topic: 'event' }];
      return [
        {
          kind: 'letter',
          ...place,
          note: `l${offset}`,
          writer: 'ingest',
          code: kind === 'late' ? 'late' : 'rule_failed',
        },
      ];
    });
    await archived.send(sent.filter((one) => !drop(one)));
    const store = createMemoryStore();
    const worked = async (next: number) => {
      const bytes = encodeProgress({ ...FRESH_PROGRESS, next });
      const key = progressKey(prefix, 'trips', 0);
      const [known] = await store.read([[key]]);
      await store.commit([
        {
          metaKey: key,
          expected: known?.[0] ?? null,
          next: bytes,
          sets: [],
          appends: [],
          deletes: [],
          logTtlMs: 1e9,
          metaTtlMs: 1e9,
        },
      ]);
    };
    await worked(records.length);
    return {
      archived,
      worked,
      check: () => audit({ project, kafka, warehouse, store, codecs }),
      archive: async () => {
        const running = archived.start();
        await archived.settle();
        await running.stop();
      },
    };
  }

  const records: Raw[] = ['clock', 'accepted', 'accepted', 'refused', 'clock', 'accepted', 'late', 'clock'];

  it('holds where everything is somewhere, once', async () => {
    const { archive, check } = await world(records);
    await archive();
    expect(await check()).toMatchObject({
      status: 'holds',
      findings: [],
      sources: [{ raw: 5, clocks: 3, accepted: 3, refused: 2, acceptedRows: 3, refusedRows: 2, late: 1 }],
      models: [{ requests: 3, predictions: 3, repeats: 0, refused: 0, rows: 3 }],
    });
  });

  it('counts the records of a batch that nobody can read, which ingest refused', async () => {
    const { archive, check } = await world([...records, 'unreadable', 'unreadable']);
    await archive();
    expect(await check()).toMatchObject({
      status: 'holds',
      findings: [],
      sources: [{ raw: 7, clocks: 3, accepted: 3, refused: 4 }],
    });
  });

  it('fails while a raw topic keeps its producers’ times, and notes those it has', async () => {
    const broker = createMemoryBroker(wall);
    const { archived, archive, check } = await world(records, undefined, broker);
    await archive();
    const raw = topics.raw(archived.project.prefix, 'trips');
    const admin = await archived.kafka.admin();
    const clock = { topic: raw, partition: 0, key: null, value: null, headers: { [headers.clock]: '1' } };

    broker.createTimeTopic(raw, 1);
    expect(await check()).toMatchObject({
      status: 'broken',
      findings: [expect.stringMatching(/^The raw topic of trips keeps its producers' times/)],
      sources: [{ stamps: { still: true, byProducers: { count: 0 } } }],
    });
    broker.createTimeTopic(raw, 1, 'none'); // Now its newest records decide.
    expect(await check()).toMatchObject({ status: 'holds' });
    broker.appendAt([clock], 1);
    expect(await check()).toMatchObject({ status: 'broken' });

    broker.createTimeTopic(raw, 1);
    await admin.stampByBroker(raw);
    expect(await check()).toMatchObject({
      status: 'holds',
      sources: [{ stamps: { still: false, byProducers: { count: 1, places: [{ offset: 8 }] } } }],
      notes: expect.arrayContaining([expect.stringMatching(/^1 raw records of trips have their producers'/)]),
    });
  });

  it('is behind where ingest or the archive still has work', async () => {
    const one = await world(records);
    expect(await one.check()).toMatchObject({ status: 'behind', sources: [{ unarchived: 5 }] });
    const other = await world(records, (sent) => 'offset' in sent && sent.offset > 2);
    await other.worked(3);
    await other.archive();
    expect(await other.check()).toMatchObject({ status: 'behind', sources: [{ waiting: 3, accepted: 2 }] });
  });

  it('names an event, a prediction and a row that are missing', async () => {
    const lost = await world(records, (sent) => sent.kind === 'event' && sent.offset === 2);
    await lost.archive();
    expect(await lost.check()).toMatchObject({
      status: 'broken',
      sources: [{ missing: { count: 1, places: [{ partition: 0, offset: 2 }] } }],
      models: [{ double: { count: 1, places: [{ offset: 2 }] } }],
    });
    const silent = await world(records, (sent) => sent.kind === 'prediction' && sent.offset === 2);
    await silent.archive();
    expect(await silent.check()).toMatchObject({
      status: 'broken',
      models: [{ requests: 3, predictions: 2, missing: { count: 1, places: [{ offset: 2 }] } }],
    });
    const cut = await world(records);
    await cut.archive();
    const table = tables.predictions(cut.archived.project.prefix, 'late');
    await warehouse.command(`DELETE FROM ${table} WHERE source_offset = 2`);
    expect(await cut.check()).toMatchObject({
      status: 'broken',
      models: [{ predictions: 3, rows: 2, missingRows: { count: 1, places: [{ offset: 2 }] } }],
    });
  });

  it('names a row that is missing below others, though the archive has not come to the end', async () => {
    const { archived, archive, check } = await world(records);
    await archive();
    const { prefix } = archived.project;
    await warehouse.command(`DELETE FROM ${tables.predictions(prefix, 'late')} WHERE source_offset = 2`);
    await warehouse.command(`DELETE FROM ${tables.events(prefix, 'trips')} WHERE source_offset IN (1, 5)`);
    expect(await check()).toMatchObject({
      status: 'broken',
      sources: [{ missingRows: { count: 1, places: [{ offset: 1 }] }, unarchived: 1 }],
      models: [{ missingRows: { count: 1, places: [{ offset: 2 }] } }],
    });
  });

  it('names what stands twice, and counts harmless repeats', async () => {
    const { archived, archive, check } = await world(records);
    await archived.send([
      { kind: 'event', partition: 0, offset: 1, note: 'again' },
      { kind: 'prediction', partition: 0, offset: 1, note: 'again' },
    ]);
    await archive();
    expect(await check()).toMatchObject({
      status: 'holds',
      models: [{ predictions: 3, repeats: 1, rows: 3 }],
    });
    await warehouse.command(
      `INSERT INTO ${tables.events(archived.project.prefix, 'trips')} (id, type, time, source_partition, source_offset, archived_offset) VALUES ('x', 'trip', 1, 0, 3, 0)`,
    );
    expect(await check()).toMatchObject({
      status: 'broken',
      sources: [{ double: { count: 1, places: [{ offset: 3 }] } }],
    });
  });

  it('follows what shadows as well: an answer that is missing, lies in no table, or that nobody asked for', async () => {
    const shadowed = async (offsets: readonly number[]) => {
      const one = await world(records);
      const { kafka, codecs, project } = one.archived;
      const registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
      for (const artefact of ['a', 'b'])
        await registerVersion(
          registry,
          { model: 'late', artefact, location: artefact, layout: 'layout-1', as: 'challenger' },
          { by: 'test', reason: 'test' },
        );
      await one.archived.send(
        offsets.map((offset) => ({ kind: 'shadow', partition: 0, offset, note: `s${offset}`, version: 2 })),
      );
      await one.archive();
      return one;
    };
    const whole = await shadowed([1, 2, 5]);
    expect(await whole.check()).toMatchObject({
      status: 'holds',
      models: [{ shadows: [{ version: 2, answers: 3, repeats: 0, rows: 3, missing: { count: 0 } }] }],
    });
    await warehouse.command(
      `DELETE FROM ${tables.shadow(whole.archived.project.prefix, 'late')} WHERE source_offset = 2`,
    );
    expect(await whole.check()).toMatchObject({
      status: 'broken',
      models: [{ shadows: [{ rows: 2, missingRows: { count: 1, places: [{ offset: 2 }] } }] }],
    });
    const begun = await shadowed([2, 5]);
    expect(await begun.check(), 'what came before it shadowed is not missing').toMatchObject({
      status: 'holds',
    });
    const gap = await shadowed([1, 5]);
    expect((await gap.check()).findings).toEqual([
      '1 requests have no answer of version 2 of late, which shadowed (raw 0:2).',
    ]);
    const unasked = await shadowed([1, 2, 3, 5]);
    expect(await unasked.check()).toMatchObject({
      status: 'broken',
      models: [{ shadows: [{ double: { count: 1, places: [{ offset: 3 }] } }] }],
    });
  });
});
