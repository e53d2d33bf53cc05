import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowBinaryWriter } from '../../infrastructure/clickhouse/row-binary.ts';
import { ByteWriter, cursor, wideSigned, wideUnsigned } from '../../processors/bytes.ts';
import { createValidator } from '../../processors/validate.ts';
import { createCodec, DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { createRawCodec, createValidatedCodec, rawSchema } from '../../schemas/event-schema.ts';
import { createJsonEncoder } from '../../schemas/json-event.ts';
import type { EventMapping, Source, SourceFormat } from '../../schemas/project.ts';
import { type Block, blockSchema } from '../../schemas/records/block.ts';
import { type Prediction, predictionSchema } from '../../schemas/records/prediction.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const TIME = Date.UTC(2026, 0, 31);

/** Whole numbers of the safe range, with its edges and those of the codecs' own arithmetic. */
const edges = [2 ** 30, 2 ** 31, 2 ** 32, 2 ** 51, 2 ** 52, MAX].flatMap((at) =>
  [at - 1, at, at + 1].filter(Number.isSafeInteger).flatMap((n) => [n, -n]),
);
const whole = fc.oneof(fc.integer({ min: -MAX, max: MAX }), fc.constantFrom(...edges));
const double = fc.double({ noNaN: true, noDefaultInfinity: true });
const time = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });

const mapping = (unit: EventMapping['time']['unit'], fields: EventMapping['fields'] = {}): EventMapping => ({
  id: 'id',
  type: { constant: 'paid' },
  time: { path: 'at', unit },
  fields: { count: 'count', amount: 'amount', due: 'due', ...fields },
});

function source(format: SourceFormat): Source {
  return {
    name: 'payments',
    partitions: 1,
    format,
    fields: [
      { name: 'count', type: 'int' },
      { name: 'amount', type: 'double' },
      { name: 'due', type: 'timestamp' },
    ],
    events: [{ name: 'paid', required: [], rules: [] }],
    key: 'id',
    outOfOrderness: 1_000,
    idleAfter: null,
    deduplicate: null,
    rejects: null,
    maxFuture: null,
  };
}

const avro = source({ kind: 'avro' });
const json = source({ kind: 'json', mapping: mapping('ms') });

const wire = (id: number, value: Uint8Array) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, value]);
};

/** A long as Avro writes it, of 64 bits. */
function long(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

const decodeJson = (text: string, unit: EventMapping['time']['unit'] = 'ms') =>
  createEventDecoder(source({ kind: 'json', mapping: mapping(unit) }), 'p').decode(Buffer.from(text));
const detailOf = (decoded: EventRecord | DecodeFailure) =>
  decoded instanceof DecodeFailure ? decoded.detail : 'taken';

describe('every safe number comes back as it was written', () => {
  const event = fc.record({
    id: fc.constant('e'),
    type: fc.constant('paid'),
    time: time.filter((ms) => ms < 0 || ms > 1e10),
    count: fc.option(whole, { nil: null }),
    amount: fc.option(fc.oneof(double, whole), { nil: null }),
    due: fc.option(time, { nil: null }),
  });

  it('in raw Avro, in JSON and on the validated topic', () => {
    const raw = createRawCodec(avro, 'p', 1);
    const ofAvro = createEventDecoder(avro, 'p');
    ofAvro.learn(1, JSON.stringify(rawSchema(avro, 'p')));
    const ofJson = createEventDecoder(json, 'p');
    const toJson = createJsonEncoder(json, mapping('ms'));
    const validated = createValidatedCodec(avro, 'p', 2);
    const valid = createValidator(avro);
    fc.assert(
      fc.property(event, whole, (one, offset) => {
        const fromAvro = ofAvro.decode(raw.encode(one));
        expect({ ...fromAvro }).toEqual(one);
        // JSON writes -0 as 0.
        expect(ofJson.decode(toJson(one))).toEqual({ ...one, amount: one.amount === 0 ? 0 : one.amount });
        expect(valid(fromAvro as EventRecord)).toBeNull();
        const back = validated.decode(
          validated.encode({ event: one, offset, appendTime: offset, arrivedAt: offset }),
        );
        expect(JSON.parse(JSON.stringify(back))).toEqual(
          JSON.parse(JSON.stringify({ offset, appendTime: offset, arrivedAt: offset, event: one })),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('a whole number has no sign where it is 0, since none is stored', () => {
    const decoded = decodeJson(`{"id": "e", "at": ${TIME}, "count": -0, "amount": -0, "due": -0.4}`);
    expect(decoded).toMatchObject({ count: 0, amount: -0, due: 0 });
  });

  it('a number that no double holds is told as one', () => {
    const decoded = decodeJson(`{"id": "e", "at": ${TIME}, "amount": 1e400}`);
    expect(detailOf(decoded)).toBe(
      'the field amount is the number 1e400, which is beyond the largest double, not a double',
    );
  });

  it('in blocks and predictions', () => {
    const blocks = createCodec<Block>(blockSchema, 1);
    const predictions = createCodec<Prediction>(predictionSchema, 2);
    fc.assert(
      fc.property(fc.array(fc.option(whole, { nil: null })), whole, fc.array(double), (values, n, vector) => {
        const section = {
          topic: 't',
          partition: 0,
          partitions: 1,
          from: n,
          to: n,
          runningMax: n,
          watermark: n,
          byClock: false,
          idle: false,
          turn: n,
          appendTime: n,
          clockOpen: false,
          history: null,
          contributions: [{ offset: n, time: n, at: n, entity: 'e', values }],
        };
        const block = blocks.decode(blocks.encode({ format: 1, sections: [section] }));
        expect((block as Block).sections[0]).toEqual(section);
        const prediction: Prediction = {
          format: 1,
          id: 'a:m',
          requestId: 'a',
          requestTime: n,
          status: 'scored',
          reason: null,
          model: 'm',
          modelVersion: 1,
          artefact: '',
          score: vector[0] ?? null,
          decision: true,
          layout: '',
          vector,
          absent: [],
          reads: [{ read: 'r', view: 'v', entity: 'e', head: n, asOf: n, sketchAsOf: n, ageMs: n }],
          sourceTopic: 't',
          sourcePartition: 0,
          sourceOffset: n,
          rawAppendTime: n,
          waitMs: 0.5,
          readMs: 0,
          scoreMs: 0,
        };
        expect({ ...(predictions.decode(predictions.encode(prediction)) as Prediction) }).toEqual(prediction);
      }),
    );
  });

  it('in tiles and in rows', () => {
    fc.assert(
      fc.property(whole, (value) => {
        const tile = new ByteWriter();
        tile.signed(value);
        tile.unsigned(Math.abs(value));
        const bytes = tile.copy();
        expect(wideSigned(bytes, 0)).toBe(value === 0 ? Math.abs(value) : value);
        expect(wideUnsigned(bytes, cursor.at)).toBe(Math.abs(value));
        const row = new RowBinaryWriter();
        row.int64(value);
        expect(Buffer.from(row.drain()).readBigInt64LE()).toBe(BigInt(value));
      }),
    );
  });
});

describe('what lies beyond the safe numbers', () => {
  const schema = {
    type: 'record',
    name: 'Theirs',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'at', type: 'long' },
      { name: 'trace', type: 'long' },
      { name: 'count', type: 'long' },
    ],
  };
  const registry = (fields: EventMapping['fields'] = {}) => {
    const decoder = createEventDecoder(
      source({
        kind: 'registry',
        subject: 's',
        mapping: { ...mapping('ms'), fields: { count: 'count', ...fields } },
      }),
      'p',
    );
    decoder.learn(7, JSON.stringify(schema));
    return (trace: bigint, count: bigint) =>
      decoder.decode(
        wire(7, Buffer.concat([Buffer.from([2, 97]), long(BigInt(TIME)), long(trace), long(count)])),
      );
  };
  const large = fc
    .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    .filter((n) => n > BigInt(MAX) || n < -BigInt(MAX));

  it('disturbs nobody in a field of Avro that nobody mapped', () => {
    const decode = registry();
    fc.assert(
      fc.property(large, (trace) => {
        expect(decode(trace, 5n)).toMatchObject({ id: 'a', count: 5 });
      }),
    );
  });

  it('is refused by name in one that is mapped, of Avro and of JSON', () => {
    const decode = registry();
    fc.assert(
      fc.property(large, (n) => {
        const expected = `the field count is the number ${n}, which is beyond the whole numbers that are kept exactly (±9007199254740991), not an int`;
        expect(detailOf(decode(1n, n))).toBe(expected);
        expect(detailOf(decodeJson(`{"id": "a", "at": ${TIME}, "count": ${n}, "other": 1e999}`))).toBe(
          expected,
        );
      }),
    );
  });

  it('is refused by name in Avro of ours, a long where a double is asked for too', () => {
    const decoder = createEventDecoder(avro, 'p');
    const writer = JSON.parse(JSON.stringify(rawSchema(avro, 'p'))) as {
      fields: Array<{ name: string; type: unknown }>;
    };
    for (const field of writer.fields) if (field.name === 'amount') field.type = ['null', 'long'];
    decoder.learn(7, JSON.stringify(writer));
    const decode = (count: bigint, amount: bigint) =>
      decoder.decode(
        wire(
          7,
          Buffer.concat([
            Buffer.from([2, 97, 8]),
            Buffer.from('paid'),
            long(BigInt(TIME)),
            Buffer.from([2]),
            long(count),
            Buffer.from([2]),
            long(amount),
            Buffer.from([0]),
          ]),
        ),
      );
    expect(decode(BigInt(-MAX), 2n ** 60n)).toMatchObject({ count: -MAX, amount: 2 ** 60 });
    expect(detailOf(decode(2n ** 53n, 1n))).toContain('the field count is 9007199254740992, which is beyond');
    expect(detailOf(decode(1n, 2n ** 60n + 1n))).toContain(
      'the field amount is 1152921504606846977, which is beyond',
    );
  });

  it('as an id is refused by its own digits', () => {
    expect(detailOf(decodeJson(`{"id": 1234567890123456789, "at": ${TIME}}`))).toContain(
      "the event's id, at id, is the number 1234567890123456789, which is beyond",
    );
    expect(decodeJson(`{"id": ${MAX}, "at": ${TIME}}`)).toMatchObject({ id: `${MAX}` });
    expect(decodeJson(`{"id": "1234567890123456789", "at": ${TIME}}`)).toMatchObject({
      id: '1234567890123456789',
    });
  });

  it.each([
    ['9007199254740993', false],
    ['100000000000000000000', true],
    ['1e300', true],
    ['-26829127859688590', true],
    ['9.007199254740993e15', true],
    ['1234567890123456789', false],
    ['1e400', false],
  ])('a double of %s is rounded only where it was written as no whole number', (text, taken) => {
    const detail = detailOf(decodeJson(`{"id": "a", "at": ${TIME}, "amount": ${text}}`));
    if (taken) expect(detail).toBe('taken');
    else expect(detail).toContain(`the field amount is the number ${text}, which is beyond`);
  });

  it('an int that is written with a point or an exponent is told as it was written', () => {
    expect(detailOf(decodeJson(`{"id": "a", "at": ${TIME}, "count": 9.007199254740993e15}`))).toContain(
      'the number 9.007199254740993e15, which',
    );
  });
});

describe('units of time', () => {
  const theirs = (time: object, due: object) => ({
    type: 'record',
    name: 'Theirs',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'at', type: time },
      { name: 'due', type: ['null', due] },
    ],
  });
  const unitOf = (logicalType: string) => ({ type: 'long', logicalType });

  it.each([
    ['timestamp-millis', BigInt(TIME), TIME],
    ['timestamp-micros', BigInt(TIME) * 1_000n + 999n, TIME],
    ['timestamp-micros', -1n, -1],
    ['timestamp-nanos', BigInt(TIME) * 1_000_000n + 1n, TIME],
    ['local-timestamp-micros', BigInt(TIME) * 1_000n, TIME],
  ])('%s of a team’s own Avro is heeded', (logical, count, ms) => {
    const decoder = createEventDecoder(
      source({ kind: 'registry', subject: 's', mapping: { ...mapping('s'), fields: { due: 'due' } } }),
      'p',
    );
    decoder.learn(3, JSON.stringify(theirs(unitOf(logical), unitOf(logical))));
    const value = Buffer.concat([Buffer.from([2, 97]), long(count), Buffer.from([2]), long(count)]);
    expect(decoder.decode(wire(3, value))).toMatchObject({ time: ms, due: ms });
  });

  it('a date is a day of its own', () => {
    const decoder = createEventDecoder(
      source({ kind: 'registry', subject: 's', mapping: { ...mapping('ms'), fields: { due: 'due' } } }),
      'p',
    );
    decoder.learn(
      3,
      JSON.stringify(theirs(unitOf('timestamp-millis'), { type: 'int', logicalType: 'date' })),
    );
    const value = Buffer.concat([Buffer.from([2, 97]), long(BigInt(TIME)), Buffer.from([2]), long(20_000n)]);
    expect(decoder.decode(wire(3, value))).toMatchObject({ due: 20_000 * 86_400_000 });
  });

  it('and of Avro of ours that a producer wrote with a schema of its own', () => {
    const decoder = createEventDecoder(avro, 'p');
    const writer = JSON.stringify(rawSchema(avro, 'p')).replaceAll('timestamp-millis', 'timestamp-micros');
    decoder.learn(7, writer);
    const count = BigInt(TIME) * 1_000n;
    const value = Buffer.concat([
      Buffer.from([2, 97, 8]),
      Buffer.from('paid'),
      long(count),
      Buffer.from([0, 0, 2]),
      long(count),
    ]);
    expect(decoder.decode(wire(7, value))).toMatchObject({ time: TIME, due: TIME });
  });

  it.each([
    ['us', `${TIME}000`],
    ['ns', `${TIME}000000`],
    ['s', `${TIME / 1_000}`],
    ['ms', `${TIME}`],
  ] as const)('%s as declared', (unit, text) => {
    expect(decodeJson(`{"id": "a", "at": ${text}}`, unit)).toMatchObject({ time: TIME });
    expect(
      createJsonEncoder(json, mapping(unit))({ id: 'a', type: 'paid', time: TIME }).toString(),
    ).toContain(`"at":${text}`);
  });

  it.each([
    [
      'ms',
      `${TIME}000`,
      'which in milliseconds is no time of the years 1 to 9999; it looks like microseconds (unit: us)',
    ],
    ['ms', `${TIME}000000`, 'it looks like nanoseconds (unit: ns)'],
    [
      's',
      `${TIME}`,
      'which in seconds is no time of the years 1 to 9999; it looks like milliseconds (unit: ms)',
    ],
    [
      'ms',
      `${TIME / 1_000}`,
      'which is 1970-01-21T11:36:57.600Z in milliseconds; it looks like seconds (unit: s)',
    ],
  ] as const)('a time in %s that is %s names the unit that it has', (unit, text, sentence) => {
    const detail = detailOf(decodeJson(`{"id": "a", "at": ${text}}`, unit));
    expect(detail).toContain(`the event's time, at at, is ${text}, `);
    expect(detail).toContain(sentence);
  });

  it('a field of microseconds is refused as a time is, and one of early 1970 is a date like any other', () => {
    expect(detailOf(decodeJson(`{"id": "a", "at": ${TIME}, "due": ${TIME}000}`))).toBe(
      `the field due is ${TIME}000, which in milliseconds is no time of the years 1 to 9999; it looks like microseconds (unit: us)`,
    );
    expect(decodeJson(`{"id": "a", "at": ${TIME}, "due": 3000000000}`)).toMatchObject({ due: 3_000_000_000 });
    expect(decodeJson(`{"id": "a", "at": ${TIME}, "due": "9999-12-31T23:59:59Z"}`)).toMatchObject({
      due: 253_402_300_799_000,
    });
  });
});
