import { describe, expect, it } from 'vitest';
import { createReferences } from '../../infrastructure/registry/references.ts';
import { createCodec, DecodeFailure } from '../../schemas/codec.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { createJsonEncoder } from '../../schemas/json-event.ts';
import type { EventMapping, Source, SourceFormat } from '../../schemas/project.ts';

const NOW = 1_780_000_000_000;

const sourceOf = (format: SourceFormat): Source => ({
  name: 'payments',
  partitions: 1,
  format,
  fields: [
    { name: 'card', type: 'string' },
    { name: 'amount', type: 'double' },
    { name: 'retries', type: 'int' },
    { name: 'fresh', type: 'bool' },
  ],
  events: [{ name: 'paid', required: [], rules: [] }],
  key: 'card',
  outOfOrderness: 0,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
  maxFuture: null,
});

const mapping: EventMapping = {
  id: '$headers.ce_id',
  type: { path: '$headers.ce_type' },
  time: { path: '$headers.ce_time', unit: 'iso' },
  fields: { card: '$key', amount: 'amount', retries: '$headers.x.retries', fresh: '$headers.fresh' },
};
const envelope = (headers: Record<string, string>, key: string | null = 'c1'): Envelope => ({
  header: (name) => headers[name] ?? null,
  key,
  timestamp: NOW,
});
const ce = {
  ce_id: 'e1',
  ce_type: 'paid',
  ce_time: new Date(NOW).toISOString(),
  'x.retries': '3',
  fresh: 'true',
};
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const framed = (id: number, rest: Uint8Array) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, rest]);
};
const failure = (value: unknown) =>
  value instanceof DecodeFailure ? `${value.code}: ${value.detail}` : value;

describe('a field that has the path of the id, as `init --predict` declares it', () => {
  const { fields, ...others } = sourceOf({ kind: 'json', mapping });
  const one: EventMapping = {
    id: 'id',
    type: { constant: 'paid' },
    time: { path: 'at', unit: 's' },
    fields: { card: 'card', amount: 'amount', payment_id: 'id' },
  };
  const source: Source = {
    ...others,
    fields: [...fields.slice(0, 2), { name: 'payment_id', type: 'string' }],
    format: { kind: 'json', mapping: one },
  };
  const event = { id: 'e1', type: 'paid', time: NOW, card: 'c1', amount: 2.5 };

  it('may be left out by who sends the event, and is the id then', () => {
    const written = createJsonEncoder(source, one)({ ...event, payment_id: null });
    expect(JSON.parse(Buffer.from(written).toString())).toMatchObject({ id: 'e1' });
    expect(createEventDecoder(source, 'p').decode(written)).toEqual({ ...event, payment_id: 'e1' });
  });

  it('is written where it is given', () => {
    const written = createJsonEncoder(source, one)({ ...event, payment_id: 'e1' });
    expect(createEventDecoder(source, 'p').decode(written)).toEqual({ ...event, payment_id: 'e1' });
  });
});

describe('CloudEvents in binary mode', () => {
  const source = sourceOf({ kind: 'json', mapping });
  const { decode } = createEventDecoder(source, 'p');
  const event = { id: 'e1', type: 'paid', time: NOW, card: 'c1', amount: 2.5, retries: 3, fresh: true };

  it('takes id, type, time and fields from headers and key', () => {
    expect(decode(bytes({ amount: 2.5 }), envelope(ce))).toEqual(event);
    expect(failure(decode(bytes({ amount: 2.5 }), envelope({ ...ce, ce_id: '' })))).toMatch(
      /bad_envelope: .*id/,
    );
    expect(failure(decode(bytes({}), envelope({ ...ce, 'x.retries': 'many' })))).toMatch(
      /retries is the string/,
    );
    expect(decode(bytes({}), envelope({ ...ce, 'x.retries': '' }, null))).toBeInstanceOf(DecodeFailure);
    const { fresh: _, ...less } = ce;
    expect(decode(bytes({ amount: 2.5 }), envelope(less, null))).toEqual({
      ...event,
      card: null,
      fresh: null,
    });
  });

  it('is read the same from what a replay writes, whose value holds all of it', () => {
    expect(decode(createJsonEncoder(source, mapping)(event))).toEqual(event);
  });

  it('takes the time of the stamp', () => {
    const stamped = { ...mapping, time: { path: '$timestamp', unit: 'ms' as const } };
    const own = createEventDecoder(sourceOf({ kind: 'json', mapping: stamped }), 'p');
    expect(own.decode(bytes({ amount: 2.5 }), envelope(ce))).toEqual(event);
  });
});

describe('records that begin with the id of a schema', () => {
  const plain: EventMapping = {
    id: 'id',
    type: { constant: 'paid' },
    time: { path: 'at', unit: 'ms' },
    fields: { card: 'card', amount: 'amount.value', retries: 'retries', fresh: 'fresh' },
  };
  const value = { id: 'e1', at: NOW, card: 'c1', amount: { value: 2.5 } };
  const event = { id: 'e1', type: 'paid', time: NOW, card: 'c1', amount: 2.5, retries: null, fresh: null };

  it('are read as JSON in a source of JSON, with and without', () => {
    const { decode } = createEventDecoder(sourceOf({ kind: 'json', mapping: plain }), 'p');
    expect(decode(bytes(value))).toEqual(event);
    expect(decode(framed(7, bytes(value)))).toEqual(event);
    expect(failure(decode(framed(7, Buffer.from([0, 10, 2, 101, 49]))))).toMatch(
      /bad_json: .*schema \(7\).*Protobuf/,
    );
    expect(failure(decode(Buffer.from([0, 1])))).toMatch(/bad_wire_format/);
  });

  it('are read as JSON where their schema is a JSON Schema, and refused by name where it is Protobuf', () => {
    const decoder = createEventDecoder(sourceOf({ kind: 'registry', subject: 's', mapping: plain }), 'p');
    decoder.learn(8, { type: 'JSON', text: '{"type":"object"}', references: [] });
    decoder.learn(9, { type: 'PROTOBUF', text: 'syntax = "proto3";', references: [] });
    expect(decoder.decode(framed(8, bytes(value)))).toEqual(event);
    expect(failure(decoder.decode(framed(9, Buffer.from([0, 10]))))).toMatch(
      /unsupported_schema: the record's schema 9 is of the kind PROTOBUF/,
    );
    const own = createEventDecoder(sourceOf({ kind: 'avro' }), 'p');
    own.learn(8, { type: 'JSON', text: '{}', references: [] });
    expect(failure(own.decode(framed(8, bytes(value))))).toMatch(/unsupported_schema/);
  });

  it('are read where their Avro schema names others, which name others', async () => {
    const unit = { type: 'enum', name: 'Unit', namespace: 'com.x', symbols: ['EUR', 'USD'] };
    const money = {
      type: 'record',
      name: 'Money',
      namespace: 'com.x',
      fields: [
        { name: 'value', type: 'double' },
        { name: 'unit', type: 'Unit' },
      ],
    };
    const payment = {
      type: 'record',
      name: 'Payment',
      namespace: 'com.y',
      fields: [
        { name: 'id', type: 'string' },
        { name: 'at', type: 'long' },
        { name: 'card', type: 'string' },
        { name: 'amount', type: 'com.x.Money' },
        { name: 'before', type: ['null', 'com.x.Money'] },
        { name: 'trace_id', type: 'long' },
      ],
    };
    const asked: string[] = [];
    const textsOf = createReferences(async (subject, version) => {
      asked.push(`${subject} ${version}`);
      const reference = { name: 'com.x.Unit', subject: 'unit', version: 1 };
      if (subject === 'money') return { schema: JSON.stringify(money), references: [reference] };
      return subject === 'unit' ? { schema: JSON.stringify(unit) } : null;
    });
    const named = { name: 'com.x.Money', subject: 'money', version: 2 };
    const references = await textsOf([named, named]);
    expect(asked).toEqual(['money 2', 'unit 1']);
    expect(references?.map((text) => JSON.parse(text).name)).toEqual(['Unit', 'Money']);
    expect(await textsOf([{ name: 'x', subject: 'gone', version: 1 }])).toBeNull();
    expect(await textsOf(undefined)).toEqual([]);

    const inline = structuredClone(payment) as { fields: Array<{ name: string; type: unknown }> };
    const amount = inline.fields[3];
    if (amount !== undefined)
      amount.type = { ...money, fields: [money.fields[0], { name: 'unit', type: unit }] };
    const written = createCodec<object>(inline as never, 5).encode({
      ...value,
      amount: { value: 2.5, unit: 'EUR' },
      before: null,
      trace_id: 12,
    });
    const decoder = createEventDecoder(sourceOf({ kind: 'registry', subject: 's', mapping: plain }), 'p');
    expect(
      decoder.learn(5, { type: 'AVRO', text: JSON.stringify(payment), references: references ?? [] }),
    ).toBeNull();
    expect(decoder.decode(written)).toEqual(event);
  });
});
