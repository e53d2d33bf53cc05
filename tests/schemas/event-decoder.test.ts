import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { createCodec, DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { createRawCodec, createValidatedCodec, rawSchema } from '../../schemas/event-schema.ts';
import type { Source, SourceFormat } from '../../schemas/project.ts';

function source(format: SourceFormat, fields: Source['fields'] = allFields): Source {
  return {
    name: 'card-payments',
    partitions: 1,
    format,
    fields,
    events: [{ name: 'paid', required: [], rules: [] }],
    key: 'card',
    outOfOrderness: 1_000,
    idleAfter: null,
    deduplicate: null,
    rejects: null,
    maxFuture: null,
  };
}

const allFields: Source['fields'] = [
  { name: 'card', type: 'string' },
  { name: 'count', type: 'int' },
  { name: 'amount', type: 'double' },
  { name: 'online', type: 'bool' },
  { name: 'due', type: 'timestamp' },
];

const event: EventRecord = {
  id: '1',
  type: 'paid',
  time: 1_700_000_000_000,
  card: 'c',
  count: 2,
  amount: 1.5,
  online: true,
  due: 5,
};

const json = source({
  kind: 'json',
  mapping: {
    id: 'meta.id',
    type: { path: 'meta.kind' },
    time: { path: 'at', unit: 'iso' },
    fields: { card: 'card.number', count: 'n', amount: 'amount', online: 'online', due: 'due' },
  },
});

const record = {
  meta: { id: 'x', kind: 'paid' },
  at: '2026-01-31T12:00:00Z',
  card: { number: '42' },
  n: 3,
  amount: 9.5,
  online: false,
  due: '2026-02-01T00:00:00+01:00',
};

const decodeJson = (value: unknown) =>
  createEventDecoder(json, 'p').decode(
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  );

function failure(value: unknown): string {
  return value instanceof DecodeFailure ? `${value.code}: ${value.detail}` : 'decoded';
}

describe('Avro of ours', () => {
  const avro = source({ kind: 'avro' });

  it('the raw record is the event itself, and the validated one says where it came from', () => {
    const raw = createRawCodec(avro, 'demo.1-a', 3);
    expect({ ...raw.decode(raw.encode(event)) }).toEqual(event);
    const validated = createValidatedCodec(avro, 'demo.1-a', 4);
    const decoded = validated.decode(
      validated.encode({ event, offset: 2 ** 40, appendTime: 9, arrivedAt: 8 }),
    );
    expect(JSON.parse(JSON.stringify(decoded))).toEqual({
      event,
      offset: 2 ** 40,
      appendTime: 9,
      arrivedAt: 8,
    });
  });

  it('fields that an event lacks are null, in the one shape of the source', () => {
    const raw = createRawCodec(avro, 'p', 3);
    const decoded = raw.decode(raw.encode({ id: '1', type: 'paid', time: 1 } as EventRecord));
    expect(Object.keys(decoded)).toEqual(['id', 'type', 'time', 'card', 'count', 'amount', 'online', 'due']);
    expect((decoded as EventRecord).amount).toBe(null);
  });

  it('asks for the ids it has not learnt, reads an older schema, and refuses one that does not fit', () => {
    const decoder = createEventDecoder(avro, 'p');
    const old = source({ kind: 'avro' }, [{ name: 'card', type: 'string' }]);
    const oldBytes = createRawCodec(old, 'p', 8).encode({ id: '1', type: 'paid', time: 1, card: 'c' });
    expect(decoder.unknownIds([oldBytes, null, oldBytes, Buffer.from([1])])).toEqual([8]);
    expect(failure(decoder.decode(oldBytes))).toMatch(/^unknown_schema: .*8/);
    expect(decoder.learn(8, JSON.stringify(rawSchema(old, 'p')))).toBe(null);
    expect(decoder.unknownIds([oldBytes])).toEqual([]);
    expect({ ...decoder.decode(oldBytes) }).toMatchObject({ id: '1', card: 'c', amount: null });
    expect(failure(decoder.learn(9, '"string"'))).toMatch(/does not fit the source card-payments/);
    expect(failure(decoder.learn(10, '{nonsense'))).toMatch(/unknown_schema/);
    expect(failure(decoder.decode(Buffer.from([0, 0, 0, 0, 10, 2])))).toMatch(/cannot be used/);
  });

  it('tells a null value, and 2 bytes', () => {
    const decoder = createEventDecoder(avro, 'p');
    expect(failure(decoder.decode(null))).toMatch(/^null_value/);
    expect(failure(decoder.decode(new Uint8Array(2)))).toMatch(/^bad_wire_format: .*2 bytes/);
  });
});

describe("Avro of a team's own", () => {
  const schema = {
    type: 'record',
    name: 'Payment',
    fields: [
      { name: 'ref', type: 'long' },
      { name: 'seconds', type: 'double' },
      {
        name: 'body',
        type: { type: 'record', name: 'Body', fields: [{ name: 'pan', type: ['null', 'string'] }] },
      },
      { name: 'n', type: ['null', 'int', 'long'] },
      { name: 'tags', type: { type: 'map', values: 'double' } },
    ],
  };
  const registry = source({
    kind: 'registry',
    subject: 'payments-value',
    mapping: {
      id: 'ref',
      type: { constant: 'paid' },
      time: { path: 'seconds', unit: 's' },
      fields: { card: 'body.pan', count: 'n', amount: 'tags.amount' },
    },
  });

  it('is mapped by paths, through records, maps and ambiguous unions', () => {
    const decoder = createEventDecoder(registry, 'p');
    decoder.learn(5, JSON.stringify(schema));
    const codec = createCodec<object>(schema as never, 5);
    const bytes = codec.encode({
      ref: 7,
      seconds: 1.25,
      body: { pan: 'c' },
      n: { long: 6 },
      tags: { amount: 2 },
    });
    expect(decoder.decode(bytes)).toEqual({
      id: '7',
      type: 'paid',
      time: 1_250,
      card: 'c',
      count: 6,
      amount: 2,
      online: null,
      due: null,
    });
  });
});

describe('JSON', () => {
  it('is mapped by paths', () => {
    expect(decodeJson(record)).toEqual({
      id: 'x',
      type: 'paid',
      time: Date.UTC(2026, 0, 31, 12),
      card: '42',
      count: 3,
      amount: 9.5,
      online: false,
      due: Date.UTC(2026, 0, 31, 23),
    });
  });

  it('absent and null are null; nothing undeclared comes along', () => {
    expect(decodeJson({ meta: { id: 5, kind: 'paid' }, at: record.at, extra: 1, amount: null })).toEqual({
      id: '5',
      type: 'paid',
      time: Date.UTC(2026, 0, 31, 12),
      card: null,
      count: null,
      amount: null,
      online: null,
      due: null,
    });
  });

  it.each([
    ['not JSON', '{"a":', /^bad_json: the record is no JSON/],
    ['an array', [], /^bad_envelope: the record is an array/],
    ['no id', { ...record, meta: { kind: 'paid' } }, /id, at meta\.id, is null/],
    [
      'a type that is a number',
      { ...record, meta: { id: 'x', kind: 7 } },
      /type, at meta\.kind, is the number 7/,
    ],
    ['a time without a zone', { ...record, at: '2026-01-31T12:00:00' }, /not a date and time with its zone/],
    ['a day that is none', { ...record, at: '2026-13-41T12:00:00Z' }, /not a date and time/],
    ['an int with a fraction', { ...record, n: 1.5 }, /the field count is the number 1.5, not an int/],
    ['an int beyond 2^53', JSON.stringify(record).replace('"n":3', '"n":9007199254740993'), /not an int/],
    ['a text for a bool', { ...record, online: 'yes' }, /the field online is the string "yes", not a bool/],
    ['an infinite double', JSON.stringify(record).replace('9.5', '1e999'), /not a double/],
    ['a path through a text', { ...record, card: 'x' }, /should hold 'number' is the string "x"/],
  ])('refuses %s with a sentence', (_, value, message) => {
    expect(failure(decodeJson(value))).toMatch(message);
  });

  it('refuses what is no UTF-8, and what is too large', () => {
    const decoder = createEventDecoder(json, 'p');
    expect(failure(decoder.decode(Buffer.from([0x22, 0xf0, 0x9f, 0x98, 0x22])))).toMatch(/^bad_json/);
    expect(failure(decoder.decode(Buffer.alloc(2_000_000, 0x20)))).toMatch(/^bad_json: .* 2000000 bytes/);
  });

  it('a million brackets are refused, not a crash', () => {
    expect(failure(decodeJson('['.repeat(1_000_000)))).toMatch(/^bad_json/);
    expect(failure(decodeJson('['.repeat(500_000) + ']'.repeat(500_000)))).toMatch(/^bad_envelope/);
  });

  it('__proto__ in a record reaches nothing', () => {
    const text = `{"__proto__":{"at":"${record.at}"},"meta":{"id":"x","kind":"paid"}}`;
    expect(failure(decodeJson(text))).toMatch(/^bad_envelope: the event's time/);
    expect(() =>
      createEventDecoder(
        source({
          kind: 'json',
          mapping: {
            id: '__proto__.id',
            type: { constant: 't' },
            time: { path: 't', unit: 'ms' },
            fields: {},
          },
        }),
        'p',
      ),
    ).toThrow(/names nothing/);
  });
});
