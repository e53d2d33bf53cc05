import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createValueReader, parseSchema } from '../../schemas/avro.ts';
import { FAILED, flatDecoder } from '../../schemas/flat-decoder.ts';
import { blockSchema } from '../../schemas/records/block.ts';
import { deadLetterSchema } from '../../schemas/records/dead-letter.ts';
import { predictionSchema } from '../../schemas/records/prediction.ts';
import { everything, valuesOf } from './avro-values.ts';

const kinds = [
  ['predictions', parseSchema(predictionSchema)],
  ['sections of views', parseSchema(blockSchema)],
  ['dead letters', parseSchema(deadLetterSchema)],
  ['every type that it reads', everything],
] as const;

describe('the flat decoder', () => {
  it.each(kinds)(
    'law: what avsc writes is read back the same, longs beyond what is exact here too (%s)',
    (_, type) => {
      const read = createValueReader(type);
      fc.assert(
        fc.property(fc.array(valuesOf(type), { minLength: 1, maxLength: 4 }), (values) => {
          // Each twice: a text that comes again is the one of the last time.
          for (const value of values.flatMap((one) => [one, one])) {
            const bytes = type.toBuffer(value);
            expect(read(bytes)).toEqual(value);
            // A piece of a larger buffer, as records of a fetch are.
            const larger = Buffer.concat([Buffer.alloc(3, 1), bytes, Buffer.alloc(9, 1)]);
            expect(read(larger.subarray(1, 3 + bytes.length), 2)).toEqual(value);
          }
        }),
        { numRuns: 60 },
      );
    },
  );

  it.each(kinds)('law: of damaged bytes it makes what avsc makes of them, or nothing (%s)', (_, type) => {
    const read = flatDecoder(type);
    const plain = avsc.Type.forSchema(type.schema());
    let failed = 0;
    let whole = 0;
    fc.assert(
      fc.property(
        valuesOf(type, fc.integer()),
        fc.nat(),
        fc.nat(255),
        fc.nat(3),
        (value, where, byte, how) => {
          const bytes = Buffer.from(type.toBuffer(value));
          const at = where % bytes.length;
          if (how > 0) bytes[at] = byte;
          const damaged =
            how === 1 ? bytes.subarray(0, at) : how === 2 ? Buffer.concat([bytes, bytes]) : bytes;
          const found = read?.(damaged, 0);
          if (found === FAILED) failed += 1;
          else {
            whole += 1;
            expect(found).toEqual(plain.fromBuffer(damaged));
          }
        },
      ),
      { numRuns: 400 },
    );
    expect(failed).toBeGreaterThan(50);
    expect(whole).toBeGreaterThan(50);
  });

  it('a list that claims more than the bytes hold is nothing, at once; one of items without bytes is left to avsc', () => {
    const type = parseSchema({ type: 'array', items: 'int' });
    for (const claim of ['feffffff0f', 'feffffffffff3f', '01', 'ff', '']) {
      expect(flatDecoder(type)?.(Buffer.from(claim, 'hex'), 0)).toBe(FAILED);
      expect(() => createValueReader(type)(Buffer.from(claim, 'hex'))).toThrow();
    }
    expect(flatDecoder(parseSchema({ type: 'array', items: 'null' }))).toBeNull();
  });

  it('reads as one schema what another of the same text wrote', () => {
    const read = createValueReader(parseSchema(predictionSchema), parseSchema(predictionSchema));
    fc.assert(
      fc.property(valuesOf(parseSchema(predictionSchema)), (value) => {
        expect(read(parseSchema(predictionSchema).toBuffer(value))).toEqual(value);
      }),
      { numRuns: 10 },
    );
  });
});
