import type avsc from 'avsc';
import type { Type } from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchema } from '../../schemas/avro.ts';
import { flatEncoder } from '../../schemas/flat-encoder.ts';
import { blockSchema } from '../../schemas/records/block.ts';
import { deadLetterSchema } from '../../schemas/records/dead-letter.ts';
import { predictionSchema } from '../../schemas/records/prediction.ts';

const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 90 }),
  fc.constantFrom('flights.raw', 'a'.repeat(63), 'b'.repeat(64), 'é'.repeat(32), ''),
);
const longs = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -200, max: 200 }),
  fc.constantFrom(2 ** 30, -(2 ** 30), 2 ** 51, -(2 ** 51), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
);

/** Values that fit a type. */
function valuesOf(type: Type): fc.Arbitrary<unknown> {
  const inner = type as Type &
    Partial<avsc.types.ArrayType & avsc.types.EnumType & avsc.types.RecordType> & {
      types?: Type[];
    };
  switch (type.typeName) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'int':
      return fc.integer();
    case 'long':
      return longs;
    case 'double':
      return fc.double();
    case 'string':
      return texts;
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    case 'enum':
      return fc.constantFrom(...(inner.symbols ?? []));
    case 'array':
      return fc.array(valuesOf(inner.itemsType as Type), { maxLength: 12 });
    case 'record':
      return fc.record(Object.fromEntries((inner.fields ?? []).map((f) => [f.name, valuesOf(f.type)])));
    default:
      return fc.oneof(...(inner.types ?? []).map(valuesOf));
  }
}

const everything = parseSchema({
  type: 'record',
  name: 'Everything',
  fields: [
    { name: 'flag', type: 'boolean' },
    { name: 'int', type: 'int' },
    { name: 'long', type: ['long', 'null'] },
    { name: 'text', type: ['null', 'string'] },
    { name: 'bytes', type: ['null', 'bytes'] },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['a', 'b'] } },
    { name: 'lists', type: { type: 'array', items: { type: 'array', items: 'string' } } },
    { name: 'numbers', type: { type: 'array', items: 'double' } },
    {
      name: 'inner',
      type: {
        type: 'array',
        items: { type: 'record', name: 'Inner', fields: [{ name: 'own', type: ['null', 'Kind'] }] },
      },
    },
  ],
});

describe('the flat encoder', () => {
  it.each([
    ['predictions', parseSchema(predictionSchema)],
    ['sections of views', parseSchema(blockSchema)],
    ['dead letters', parseSchema(deadLetterSchema)],
    ['every type that it writes', everything],
  ])("law: writes avsc's bytes (%s)", (_, type) => {
    const encode = flatEncoder(type);
    expect(encode).not.toBeNull();
    fc.assert(
      fc.property(fc.array(valuesOf(type), { minLength: 1, maxLength: 4 }), (values) => {
        // Each twice: a text that comes again is copied from the last time.
        for (const value of values.flatMap((one) => [one, one, one]))
          expect(encode?.(value, 3)?.subarray(3).equals(type.toBuffer(value))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('grows with what is written', () => {
    const encode = flatEncoder(everything);
    const value = {
      flag: true,
      int: 1,
      long: null,
      text: 'x'.repeat(100_000),
      bytes: Buffer.alloc(300_000, 7),
      kind: 'b',
      lists: [[], Array.from({ length: 5_000 }, (_, i) => `text ${i}`)],
      numbers: Array.from({ length: 50_000 }, (_, i) => i / 3),
      inner: Array.from({ length: 20_000 }, () => ({ own: null })),
    };
    expect(encode?.(value, 0)?.equals(everything.toBuffer(value))).toBe(true);
  });

  const fitting = {
    flag: true,
    int: 1,
    long: 2,
    text: null,
    bytes: null,
    kind: 'a',
    lists: [],
    numbers: [],
    inner: [],
  };
  it.each([
    ['a number for a boolean', { flag: 1 }],
    ['half a number', { int: 0.5 }],
    ['more than 32 bits for an int', { int: 2 ** 31 }],
    ['a long beyond the safe integers', { long: 2 ** 53 }],
    ['a number for a text', { text: 5 }],
    ['a text for bytes', { bytes: 'x' }],
    ['an unknown symbol', { kind: 'c' }],
    ['a text for a list', { numbers: 'x' }],
    ['a field that is missing', { lists: undefined }],
    ['a null item', { inner: [null] }],
  ])('leaves to avsc what does not fit: %s', (_, wrong) => {
    expect(flatEncoder(everything)?.(fitting, 0)).not.toBeNull();
    expect(flatEncoder(everything)?.({ ...fitting, ...wrong }, 0)).toBeNull();
  });

  it.each([
    ['a map', { type: 'map', values: 'int' }],
    ['a union of two types', ['int', 'string']],
    ['fixed', { type: 'fixed', name: 'F', size: 4 }],
  ])('leaves a schema to avsc that holds %s', (_, held) => {
    const type = parseSchema({
      type: 'record',
      name: 'R',
      fields: [{ name: 'f', type: held as avsc.Schema }],
    });
    expect(flatEncoder(type)).toBeNull();
  });

  it('leaves a record inside itself to avsc', () => {
    const type = parseSchema({ type: 'record', name: 'R', fields: [{ name: 'next', type: ['null', 'R'] }] });
    expect(flatEncoder(type)).toBeNull();
  });
});
