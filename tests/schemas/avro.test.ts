import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createValueReader, parseSchema } from '../../schemas/avro.ts';

const read = (schema: object | string, bytes: number[]) =>
  createValueReader(parseSchema(schema as never))(Uint8Array.from(bytes));

describe('bombs that stop plain avsc', () => {
  it('6 bytes of a map that claim four billion keys', () => {
    expect(() => read({ type: 'map', values: 'int' }, [0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f])).toThrow(
      /claims more/,
    );
  });

  it('5 bytes of array<null> that claim a billion items', () => {
    expect(() => read({ type: 'array', items: 'null' }, [0xfe, 0xff, 0xff, 0xff, 0x0f])).toThrow(
      /claims more/,
    );
  });

  it('many blocks of array<null>, each within the bytes left', () => {
    const bytes = Buffer.alloc(100_001);
    for (let i = 0; i + 3 < 100_000; i += 3) bytes.set([0x80, 0x80, 0x02], i); // 16,384 items each
    expect(() => createValueReader(parseSchema({ type: 'array', items: 'null' }))(bytes)).toThrow(
      /claims more/,
    );
  });

  it('a block with a negative count and no number', () => {
    expect(() => read({ type: 'array', items: 'int' }, [...new Array(300).fill(0x80), 0])).toThrow();
  });

  it('a skipped block whose size goes backwards', () => {
    const long = (n: number) => [...parseSchema('long').toBuffer(n)];
    const writer = parseSchema({
      type: 'record',
      name: 'R',
      fields: [
        { name: 'gone', type: { type: 'array', items: 'int' } },
        { name: 'kept', type: 'int' },
      ],
    });
    const reader = parseSchema({ type: 'record', name: 'R', fields: [{ name: 'kept', type: 'int' }] });
    const skip = createValueReader(writer, reader);
    expect(skip(Uint8Array.from([...long(-2), ...long(2), 2, 4, 0, 14]))).toEqual({ kept: 7 });
    expect(() => skip(Uint8Array.from([...long(-1), ...long(-3), 0, 14]))).toThrow(/size it has not/);
  });

  it('a map key that would become the prototype', () => {
    const bytes = [2, 18, ...Buffer.from('__proto__'), 2, 0];
    expect(() => read({ type: 'map', values: 'int' }, bytes)).toThrow(/__proto__/);
  });

  it('100,000 lists, one in the other', () => {
    const type = parseSchema({
      type: 'record',
      name: 'Node',
      fields: [{ name: 'next', type: ['null', 'Node'] }],
    });
    expect(() => createValueReader(type)(new Uint8Array(100_000).fill(2))).toThrow();
  });

  it('a schema of 30 records that unfolds to 2^30 fields', () => {
    let inner: unknown = 'null';
    for (let i = 0; i < 30; i++) {
      inner = { type: 'record', name: `R${i}`, fields: [{ name: 'a', type: inner }] };
      const name = `R${i}`;
      inner = {
        type: 'record',
        name: `S${i}`,
        fields: [
          { name: 'a', type: inner },
          { name: 'b', type: name },
        ],
      };
    }
    expect(() => parseSchema(inner as never)).toThrow(/unfolds/);
  });

  it('a record that holds itself with nothing between', () => {
    const schema = { type: 'record', name: 'R', fields: [{ name: 'again', type: 'R' }] };
    expect(() => parseSchema(schema as never)).toThrow(/holds itself/);
  });

  it('an int beyond 32 bits and a long beyond 64; one beyond 2^53 is a bigint', () => {
    expect(() => read('int', [0xfe, 0xff, 0xff, 0xff, 0x7f])).toThrow(/beyond 32 bits/);
    expect(() => read('long', new Array(10).fill(0xff).concat([1]))).toThrow(/longer than 64 bits/);
    expect(read('long', new Array(9).fill(0xff).concat([1]))).toBe(-(2n ** 63n));
  });
});

it('reads what avsc writes, whatever the value', () => {
  const type = parseSchema({
    type: 'record',
    name: 'R',
    fields: [
      { name: 'list', type: { type: 'array', items: ['null', 'long'] } },
      { name: 'map', type: { type: 'map', values: 'string' } },
      { name: 'nested', type: { type: 'array', items: { type: 'array', items: 'int' } } },
      { name: 'number', type: 'double' },
    ],
  } as never);
  const reader = createValueReader(type);
  const long = fc.integer({ min: -(2 ** 52), max: 2 ** 52 });
  fc.assert(
    fc.property(
      fc.record({
        list: fc.array(fc.option(long)),
        map: fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' })).map((map) => ({ ...map })),
        nested: fc.array(fc.array(fc.integer())),
        number: fc.double(),
      }),
      (value) => {
        if (Object.hasOwn(value.map, '__proto__')) return;
        expect({ ...(reader(type.toBuffer(value)) as object) }).toEqual(value);
      },
    ),
  );
});

it('whatever the bytes, a reader answers or throws, and soon', () => {
  const type = parseSchema({
    type: 'record',
    name: 'R',
    fields: [
      { name: 'a', type: { type: 'array', items: { type: 'map', values: ['null', 'bytes', 'string'] } } },
      { name: 'b', type: { type: 'map', values: { type: 'array', items: 'null' } } },
    ],
  } as never);
  const reader = createValueReader(type);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        reader(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 5_000 },
  );
});
