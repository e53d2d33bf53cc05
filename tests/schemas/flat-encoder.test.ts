import type avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchema } from '../../schemas/avro.ts';
import { flatEncoder } from '../../schemas/flat-encoder.ts';
import { blockSchema } from '../../schemas/records/block.ts';
import { deadLetterSchema } from '../../schemas/records/dead-letter.ts';
import { predictionSchema } from '../../schemas/records/prediction.ts';
import { everything, valuesOf } from './avro-values.ts';

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

  it('writes fields that are named as the variables of its own text are', () => {
    const fields = ['ROOM', 'BATHROOM', 'at', 'out'].map((name) => ({ name, type: 'string' as const }));
    const type = parseSchema({ type: 'record', name: 'R', fields });
    const value = { ROOM: 'a', BATHROOM: 'b', at: 'c', out: 'd' };
    expect(flatEncoder(type)?.(value, 0)).toEqual(type.toBuffer(value));
  });

  it('leaves a record inside itself to avsc', () => {
    const type = parseSchema({ type: 'record', name: 'R', fields: [{ name: 'next', type: ['null', 'R'] }] });
    expect(flatEncoder(type)).toBeNull();
  });
});
