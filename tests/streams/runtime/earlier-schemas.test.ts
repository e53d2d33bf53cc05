import type { Schema } from 'avsc';
import { expect, it } from 'vitest';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createCodec } from '../../../schemas/codec.ts';
import { topics } from '../../../schemas/names.ts';
import { type DeadLetter, deadLetterSchema } from '../../../schemas/records/dead-letter.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { NOT_CUT } from '../../../streams/runtime/dead-letter-record.ts';
import { edited, FILES, load } from '../../config/project.ts';

const letter: DeadLetter = {
  format: 1,
  stage: 'validate',
  code: 'rule_failed',
  detail: 'A sentence.',
  sourceTopic: 'shop.orders.raw',
  sourcePartition: 0,
  sourceOffset: 4,
  appendTime: 1,
  arrivedAt: 1,
  eventId: 'e1',
  eventTime: 1,
  writer: 'ingest',
  key: null,
  value: Buffer.from('{}'),
  ...NOT_CUT,
};

/** The schema before letters kept the headers of their records. */
function withoutHeaders(): Schema {
  const { fields, ...rest } = deadLetterSchema as {
    readonly fields: ReadonlyArray<{ readonly name: string }>;
  };
  return { ...rest, fields: fields.filter(({ name }) => !name.startsWith('headers')) } as Schema;
}

it('a dead letter that was written under an earlier schema is read as ours', async () => {
  const project = load(FILES, { prefix: 'shop' });
  const registry = createMemoryRegistry();
  const earlier = withoutHeaders();
  const id = await registry.register(`${topics.deadLetters('shop', 'orders')}-value`, earlier);
  const bytes = createCodec<DeadLetter>(earlier, id).encode(letter);
  const told: string[] = [];
  const codecs = await openCodecs(project, registry, (_, detail) => told.push(detail));
  expect(codecs.deadLetters.read(bytes)).toEqual(letter);
  expect(codecs.deadLetters.encode(letter).subarray(0, 5)).not.toEqual(bytes.subarray(0, 5));
  expect(told).toEqual([]);
});

it('an accepted event that was written before its source had a field is read with null there', async () => {
  const registry = createMemoryRegistry();
  const before = load(FILES, { prefix: 'shop' });
  const event = { id: 'e1', type: 'order.placed', time: 1, order_id: 'o1', customer: 'c', amount: 5 };
  const fields = Object.fromEntries(before.sources[0]?.fields.map(({ name }) => [name, null]) ?? []);
  const validated = { event: { ...fields, ...event }, offset: 7, appendTime: 1, arrivedAt: 1 };
  const bytes = (await openCodecs(before, registry)).validated('orders').encode(validated);
  const after = load(
    { ...FILES, ...edited('project.yaml', 'order_id: string', 'order_id: string\n      later: double') },
    { prefix: 'shop' },
  );
  const read = (await openCodecs(after, registry)).validated('orders').read(bytes);
  expect(read).toEqual({ ...validated, event: { ...validated.event, later: null } });
});

it("a producer's record, and its dead letter, of an earlier schema of its source are read by the schema of now", async () => {
  const registry = createMemoryRegistry();
  const before = load(FILES, { prefix: 'shop' });
  const fields = Object.fromEntries(before.sources[0]?.fields.map(({ name }) => [name, null]) ?? []);
  const event = { ...fields, id: 'e1', type: 'order.placed', time: 1_780_000_000_000, order_id: 'o1' };
  const value = (await openCodecs(before, registry)).encodeRaw('orders', event);
  const after = load(
    { ...FILES, ...edited('project.yaml', 'order_id: string', 'order_id: string\n      later: double') },
    { prefix: 'shop' },
  );
  const decoder = (await openCodecs(after, registry)).raw('orders');
  const place = { topic: 'shop.orders.raw', partition: 0, offset: 4, key: null, headers: null };
  const record = { ...place, value, appendTime: event.time };
  expect(await decoder.prepare([record])).toEqual([]);
  expect(decoder.decode(record)).toMatchObject({ rejected: null, event: { ...event, later: null } });
});
