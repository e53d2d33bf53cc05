import { describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../../infrastructure/kafka/port.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { headers } from '../../../schemas/names.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { edited, FILES, lines, load, problems } from '../../config/project.ts';

const format = (time: string) =>
  edited(
    'project.yaml',
    'key: order_id',
    `key: order_id\n    format: {json: {id: $headers.ce_id, type: $headers.ce_type, time: ${time}, fields: {order_id: $key}}}`,
  );

const record = (given: Record<string, string>): KafkaRecord => ({
  topic: 'raw',
  partition: 0,
  offset: 7,
  key: Buffer.from('o1'),
  value: Buffer.from('{"customer": "c", "amount": 5}'),
  headers: Object.fromEntries(Object.entries(given).map(([name, text]) => [name, Buffer.from(text)])),
  appendTime: 1_780_000_000_000,
});

describe('a record whose event stands beside its value', () => {
  it('is read from headers, key and stamp', async () => {
    const project = load({ ...FILES, ...format('{path: $timestamp, unit: ms}') });
    const codecs = await openCodecs(project, createMemoryRegistry());
    const { event, rejected } = codecs.raw('orders').decode(record({ ce_id: 'e1', ce_type: 'order.placed' }));
    expect(rejected).toBeNull();
    expect(event).toMatchObject({
      id: 'e1',
      type: 'order.placed',
      time: 1_780_000_000_000,
      order_id: 'o1',
      customer: 'c',
    });
    expect(codecs.raw('orders').decode(record({ ce_type: 'order.placed' })).rejected).toMatchObject({
      code: 'bad_envelope',
    });
  });

  it('is refused where its bytes are no text, for two of them would be one', async () => {
    const project = load({ ...FILES, ...format('{path: $timestamp, unit: ms}') });
    const codec = (await openCodecs(project, createMemoryRegistry())).raw('orders');
    const sound = record({ ce_id: 'e1', ce_type: 'order.placed' });
    expect(codec.decode({ ...sound, key: Buffer.from([255, 1]) }).rejected).toMatchObject({
      code: 'bad_envelope',
      detail: 'the field order_id is bytes instead of text in UTF-8, not a string',
    });
    const headers = { ...sound.headers, ce_id: Buffer.from([0xe9]) };
    expect(codec.decode({ ...sound, headers }).rejected).toMatchObject({ code: 'bad_envelope' });
  });

  it('a clock without digits is none', async () => {
    const codec = (await openCodecs(load(FILES), createMemoryRegistry())).raw('orders');
    const clockOf = (text: string) => codec.decode({ ...record({ [headers.clock]: text }), value: null });
    for (const text of ['', ' ', '0x10', '1e3', '1.5'])
      expect(clockOf(text).rejected?.code).toBe('bad_clock');
    expect(clockOf('1780000000000').clock?.time).toBe(1_780_000_000_000);
  });

  it('keeps its own time in a replay, which has another stamp', async () => {
    const project = load({ ...FILES, ...format('{path: $timestamp, unit: ms}') });
    const codecs = await openCodecs(project, createMemoryRegistry());
    const sent = { id: 'e1', type: 'order.placed', time: 1_600_000_000_000, order_id: 'o9', customer: 'c' };
    const replayed = { ...record({ [headers.replay]: 'r' }), value: codecs.encodeRaw('orders', sent) };
    expect(codecs.raw('orders').decode(replayed).event).toMatchObject(sent);
  });

  it('is declared with names that exist', () => {
    expect(lines(problems(format('{path: $timestamp, unit: s}')))[0]).toContain(
      "'$timestamp' is in milliseconds.",
    );
    expect(lines(problems(format('{path: $key.x, unit: ms}')))[0]).toContain(
      "Write '$headers.NAME', '$key' or '$timestamp'.",
    );
    expect(lines(problems(format('{path: $headers, unit: iso}')))[0]).toContain('names nothing beside');
  });
});
