import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCodec, DecodeFailure, wireId } from '../../schemas/codec.ts';
import { type Block, blockSchema } from '../../schemas/records/block.ts';
import { type DeadLetter, deadLetterSchema } from '../../schemas/records/dead-letter.ts';
import { type Prediction, predictionSchema } from '../../schemas/records/prediction.ts';
import { NOT_CUT } from '../../streams/runtime/dead-letter-record.ts';

const deadLetter: DeadLetter = {
  format: 1,
  stage: 'decode',
  code: 'bad_avro',
  detail: 'no',
  sourceTopic: 't',
  sourcePartition: 3,
  sourceOffset: 2 ** 40,
  appendTime: 1,
  arrivedAt: null,
  eventId: null,
  eventTime: null,
  writer: 'ingest',
  key: new Uint8Array([1, 2]),
  value: Buffer.from([3]),
  ...NOT_CUT,
};

function code(value: unknown): string {
  return value instanceof DecodeFailure ? value.code : 'decoded';
}

describe('a codec', () => {
  const codec = createCodec<DeadLetter>(deadLetterSchema, 7);

  it('gives back what it was given, bytes from any array included', () => {
    const decoded = codec.decode(codec.encode(deadLetter));
    expect({ ...decoded, key: [...((decoded as DeadLetter).key ?? [])] }).toEqual({
      ...deadLetter,
      key: [1, 2],
      value: Buffer.from([3]),
    });
  });

  it('writes the wire format', () => {
    const bytes = codec.encode(deadLetter);
    expect([...bytes.subarray(0, 5)]).toEqual([0, 0, 0, 0, 7]);
    expect(wireId(bytes)).toBe(7);
  });

  it('hands out bytes of their own: a later record does not change them', () => {
    const first = codec.encode(deadLetter);
    const before = Buffer.from(first);
    codec.encode({ ...deadLetter, detail: 'something else, and longer' });
    expect(Buffer.compare(before, first)).toBe(0);
  });

  it('grows for a record larger than its slab', () => {
    const large = { ...deadLetter, value: Buffer.alloc(700_000, 1) };
    expect((codec.decode(codec.encode(large)) as DeadLetter).value?.length).toBe(700_000);
  });

  it('refuses every prefix of a record, and a record with a byte too many', () => {
    const bytes = codec.encode(deadLetter);
    for (let length = 0; length < bytes.length; length++) {
      expect(code(codec.decode(bytes.subarray(0, length)))).toBe(length < 5 ? 'bad_wire_format' : 'bad_avro');
    }
    expect(code(codec.decode(Buffer.concat([bytes, Buffer.from([0])])))).toBe('bad_avro');
  });

  it('tells bytes of another kind and schemas it does not know', () => {
    expect(code(codec.decode(Buffer.from('{"a":1}')))).toBe('bad_wire_format');
    expect(code(codec.decode(Buffer.from([0, 0, 0, 0, 8, 1])))).toBe('unknown_schema');
  });

  it('throws for a record that does not fit: a bug, no event', () => {
    expect(() => codec.encode({ ...deadLetter, sourceOffset: 'x' } as never)).toThrow();
  });

  it('reads an older version of its schema once it has been told of it', () => {
    const older = {
      type: 'record',
      name: 'E',
      fields: [
        { name: 'a', type: 'int' },
        { name: 'gone', type: 'string' },
      ],
    } as const;
    const newer = {
      type: 'record',
      name: 'E',
      fields: [
        { name: 'a', type: 'int' },
        { name: 'b', type: ['null', 'string'], default: null },
      ],
    };
    const now = createCodec<{ a: number; b: string | null }>(newer as never, 2);
    now.accept(1, older as never);
    const old = createCodec<{ a: number; gone: string }>(older as never, 1);
    expect({ ...now.decode(old.encode({ a: 4, gone: 'x' })) }).toEqual({ a: 4, b: null });
    expect(() => now.accept(3, { type: 'record', name: 'E', fields: [] })).toThrow(/a/);
  });

  it('never throws for bytes, whatever they are', () => {
    const block = createCodec<Block>(blockSchema, 1);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (tail) => {
        expect(typeof code(block.decode(Buffer.from([0, 0, 0, 0, 1, ...tail])))).toBe('string');
      }),
      { numRuns: 3_000 },
    );
  });
});

it('a prediction keeps its bits: NaN, -0 and the last bit of a score', () => {
  const codec = createCodec<Prediction>(predictionSchema, 1);
  const prediction: Prediction = {
    format: 1,
    id: 'a:m',
    requestId: 'a',
    requestTime: 1,
    status: 'scored',
    reason: null,
    model: 'm',
    modelVersion: 1,
    artefact: 'x',
    score: 0.1 + 0.2,
    decision: true,
    layout: 'l',
    vector: [Number.NaN, -0, 1e-310],
    reads: [{ read: 'r', view: 'v@1', entity: 'e', head: 1, asOf: 1, sketchAsOf: null, ageMs: 0 }],
    sourceTopic: 't',
    sourcePartition: 0,
    sourceOffset: 0,
    rawAppendTime: 0,
    waitMs: 0,
    readMs: 0,
    scoreMs: 0,
    absent: [],
  };
  const decoded = codec.decode(codec.encode(prediction)) as Prediction;
  expect(decoded.score).toBe(prediction.score);
  expect(decoded.vector.map((x) => Object.is(x, -0))).toEqual([false, true, false]);
  expect(decoded.vector[0]).toBeNaN();
  expect({ ...decoded.reads[0] }).toEqual(prediction.reads[0]);
});
