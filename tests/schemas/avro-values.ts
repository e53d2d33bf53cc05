import type { Type, types } from 'avsc';
import fc from 'fast-check';
import { parseSchema } from '../../schemas/avro.ts';

const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 90 }),
  fc.constantFrom('flights.raw', 'a'.repeat(63), 'b'.repeat(64), 'é'.repeat(32), ''),
);
const longs = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -200, max: 200 }),
  fc.constantFrom(2 ** 30, -(2 ** 30), 2 ** 51, -(2 ** 51), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
);

/** Values that fit a type; `whole` draws its longs. */
export function valuesOf(type: Type, whole: fc.Arbitrary<number> = longs): fc.Arbitrary<unknown> {
  const inner = type as Type &
    Partial<types.ArrayType & types.EnumType & types.RecordType> & {
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
      return whole;
    case 'double':
      return fc.double();
    case 'string':
      return texts;
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    case 'enum':
      return fc.constantFrom(...(inner.symbols ?? []));
    case 'array':
      return fc.array(valuesOf(inner.itemsType as Type, whole), { maxLength: 12 });
    case 'record':
      return fc.record(
        Object.fromEntries((inner.fields ?? []).map((f) => [f.name, valuesOf(f.type, whole)])),
      );
    default:
      return fc.oneof(...(inner.types ?? []).map((one) => valuesOf(one, whole)));
  }
}

/** A record with a field of every type that is written and read flat. */
export const everything = parseSchema({
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
