import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../../infrastructure/kafka/crc32c.ts';
import { decodeRecords } from '../../../infrastructure/kafka/decode-batch.ts';
import { fairShare } from '../../../infrastructure/kafka/fair-share.ts';
import type { KafkaRecord, OutgoingRecord } from '../../../infrastructure/kafka/port.ts';
import { encodeBatch, recordSize } from '../../../infrastructure/kafka/record-batch.ts';
import {
  Cursor,
  readInt64,
  varintSize,
  writeInt64,
  writeVarint,
} from '../../../infrastructure/kafka/wire.ts';

const identity = { producerId: 2 ** 40 + 3, producerEpoch: 7, baseSequence: 9 };
const decode = (set: Buffer, position = 0, aborted: Parameters<typeof decodeRecords>[4] = []) =>
  decodeRecords('t', 1, set, position, aborted);
const texts = (records: readonly KafkaRecord[]) =>
  records.map((record) => Buffer.from(record.value ?? []).toString());
const outgoing = (value: string): OutgoingRecord => ({
  topic: 't',
  partition: 1,
  key: null,
  value: Buffer.from(value),
});

/** The batch as the broker stores it: at an offset, with other attributes, its records packed. */
function stored(
  batch: Buffer,
  offset: number,
  options: { attributes?: number; pack?: (records: Buffer) => Buffer; producerId?: number } = {},
): Buffer {
  const records = batch.subarray(61);
  const packed = options.pack === undefined ? records : options.pack(records);
  const whole = Buffer.concat([batch.subarray(0, 61), packed]);
  writeInt64(whole, offset, 0);
  whole.writeInt32BE(whole.length - 12, 8);
  whole.writeInt16BE(options.attributes ?? 0, 21);
  if (options.producerId !== undefined) writeInt64(whole, options.producerId, 43);
  return whole;
}

const batchOf = (...values: string[]) => encodeBatch(values.map(outgoing), identity, 1_700_000_000_123);

describe('a record batch', () => {
  const bytes = fc.option(fc.uint8Array({ maxLength: 300 }));
  const arbitrary = fc.record({
    key: bytes,
    value: bytes,
    headers: fc.dictionary(
      fc.string({ minLength: 1, unit: 'grapheme' }).filter((name) => name !== '__proto__'),
      fc.string({ unit: 'grapheme' }),
      {
        maxKeys: 4,
      },
    ),
  });

  it('gives back what was put in, within the size that was foretold', () => {
    fc.assert(
      fc.property(fc.array(arbitrary, { minLength: 1, maxLength: 200 }), (records) => {
        const out = records.map((record) => ({
          topic: 't',
          partition: 1,
          ...record,
          headers: { ...record.headers },
        }));
        const batch = encodeBatch(out, identity, 1_700_000_000_123);
        expect(batch.length).toBeLessThanOrEqual(
          61 + out.reduce((sum, record) => sum + recordSize(record), 0),
        );
        const { records: back, next } = decode(batch);
        expect(next).toBe(out.length);
        for (const [i, record] of out.entries()) {
          const found = back[i];
          expect(found?.offset).toBe(i);
          expect(found?.appendTime).toBe(1_700_000_000_123);
          expect(found?.key && [...found.key]).toEqual(record.key && [...record.key]);
          expect(found?.value && [...found.value]).toEqual(record.value && [...record.value]);
          const names = Object.keys(record.headers);
          expect(Object.keys(found?.headers ?? {})).toEqual(names);
          for (const name of names) {
            expect(Buffer.from(found?.headers?.[name] ?? []).toString()).toBe(
              Buffer.from(record.headers[name] ?? '').toString(),
            );
          }
        }
      }),
    );
  });

  it('carries its identity and a checksum of all that follows it', () => {
    const batch = batchOf('a', 'b');
    expect(readInt64(batch, 43)).toBe(identity.producerId);
    expect([batch.readInt16BE(51), batch.readInt32BE(53), batch.readInt32BE(57)]).toEqual([7, 9, 2]);
    expect(batch.readUInt32BE(17)).toBe(crc32c(batch, 21, batch.length));
  });

  it('takes LogAppendTime from the batch, and offsets from its place', () => {
    const batch = stored(batchOf('a', 'b'), 2 ** 33, { attributes: 0x08 });
    writeInt64(batch, 1_800_000_000_000, 35);
    expect(decode(batch).records.map((record) => [record.offset, record.appendTime])).toEqual([
      [2 ** 33, 1_800_000_000_000],
      [2 ** 33 + 1, 1_800_000_000_000],
    ]);
  });

  it('leaves out what lies before the position, and a batch cut short', () => {
    const set = Buffer.concat([
      stored(batchOf('a', 'b'), 0),
      stored(batchOf('c'), 2),
      stored(batchOf('d'), 3),
    ]);
    expect(texts(decode(set, 1).records)).toEqual(['b', 'c', 'd']);
    const cut = decode(set.subarray(0, set.length - 1), 1);
    expect([texts(cut.records), cut.next]).toEqual([['b', 'c'], 3]);
    expect(decode(set.subarray(0, 30), 5)).toEqual({ records: [], next: 5, bytes: 0 });
  });

  it('goes on after records that compaction has taken out of a batch', () => {
    const batch = stored(batchOf('a'), 10);
    batch.writeInt32BE(4, 23); // Offsets 11 to 14 are gone.
    expect(decode(batch, 10).next).toBe(15);
  });

  it('leaves out aborted transactions and control records, and keeps committed ones', () => {
    const transactional = 0x10;
    const control = 0x30;
    const set = Buffer.concat([
      stored(batchOf('plain'), 0),
      stored(batchOf('aborted'), 1, { attributes: transactional, producerId: 5 }),
      stored(batchOf('committed'), 2, { attributes: transactional, producerId: 6 }),
      stored(batchOf('marker'), 3, { attributes: control, producerId: 5 }),
      stored(batchOf('later'), 4, { attributes: transactional, producerId: 5 }),
    ]);
    const { records, next } = decode(set, 0, [{ producerId: 5, firstOffset: 1 }]);
    expect([texts(records), next]).toEqual([['plain', 'committed', 'later'], 5]);
  });

  it.each([
    ['gzip', 1, (records: Buffer) => gzipSync(records)],
    ['zstd', 4, (records: Buffer) => zstdCompressSync(records)],
  ])('unpacks %s', (_, attributes, pack) => {
    expect(texts(decode(stored(batchOf('a', 'b'), 0, { attributes, pack })).records)).toEqual(['a', 'b']);
  });

  it.each(['snappy', 'lz4'])('unpacks %s as Java packs it', (name) => {
    const fixture = readFileSync(join(import.meta.dirname, 'fixtures', `${name}.batch`));
    const { records, next } = decode(fixture, 103);
    expect(next).toBe(140);
    expect(records.map((record) => Buffer.from(record.key ?? []).toString())).toEqual(
      Array.from({ length: 37 }, (_, i) => `key-${i + 3}`),
    );
    for (const [k, text] of texts(records).entries()) {
      const i = k + 3;
      expect(text).toBe(Array.from({ length: i * 8 }, (_, j) => `value-${i % 7}-${j % 5}`).join(''));
    }
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(fixture.length - 1), fc.nat(255)), { maxLength: 4 }),
        (changes) => {
          const broken = Buffer.from(fixture);
          for (const [at, byte] of changes) broken[at] = byte;
          try {
            decode(broken, 0);
          } catch (error) {
            expect((error as Error).name).toBe('KafkaError');
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('refuses a gzip bomb, damage, other compressions and old formats, with a sentence', () => {
    const bomb = stored(batchOf('a'), 0, { attributes: 1, pack: () => gzipSync(Buffer.alloc(80_000_000)) });
    expect(() => decode(bomb)).toThrow(
      /t:1 has at offset 0 a batch packed with gzip that cannot be unpacked/,
    );
    const unknown = stored(batchOf('a'), 7, { attributes: 6 });
    expect(() => decode(unknown, 7)).toThrow(/offset 7 a batch packed in an unknown way \(6\)/);
    const damaged = stored(batchOf('abc'), 0);
    damaged[61] = 4;
    expect(() => decode(damaged)).toThrow(/damaged/);
    const old = stored(batchOf('abc'), 0);
    old[16] = 1;
    expect(() => decode(old)).toThrow(/old format 1/);
  });

  it('hands out what it cannot read where that is asked for, with size and hash of the batch, and goes on behind it', () => {
    const bomb = stored(batchOf('a', 'b', 'c'), 3, {
      attributes: 1,
      pack: () => gzipSync(Buffer.alloc(80_000_000)),
    });
    const damaged = stored(batchOf('abc'), 6);
    damaged[61] = 4;
    const set = Buffer.concat([bomb, damaged, stored(batchOf('good'), 7)]);
    const { records, next, bytes } = decodeRecords('t', 1, set, 4, [], 'hand_out');
    expect(
      records.map(({ offset, value, unreadable }) => [offset, value === null, unreadable?.bytes]),
    ).toEqual([
      [4, true, bomb.length],
      [5, true, bomb.length],
      [6, true, damaged.length],
      [7, false, undefined],
    ]);
    expect(records[0]?.unreadable?.sha256).toBe(createHash('sha256').update(bomb).digest('hex'));
    expect(records[0]?.unreadable?.detail).toMatch(/packed with gzip that cannot be unpacked/);
    expect(next).toBe(8);
    expect(bytes).toBeGreaterThan(bomb.length + damaged.length);
  });

  it('a message of the old format is handed out too, however short it is', () => {
    const old = Buffer.alloc(34);
    writeInt64(old, 5, 0);
    old.writeInt32BE(22, 8);
    const { records, next } = decodeRecords(
      't',
      1,
      Buffer.concat([old, stored(batchOf('new'), 6)]),
      5,
      [],
      'hand_out',
    );
    expect([records.map(({ offset }) => offset), next]).toEqual([[5, 6], 7]);
    expect(() => decode(old, 5)).toThrow(/old format 0/);
  });

  it('leaves to the next fetch what would unfold to too much at once', () => {
    const large = (offset: number) =>
      stored(batchOf('x'.repeat(10_000_000)), offset, {
        attributes: 1,
        pack: (records) => gzipSync(records),
      });
    const set = Buffer.concat([large(0), large(1), large(2)]);
    expect(decode(set)).toMatchObject({ next: 2, records: [{ offset: 0 }, { offset: 1 }] });
  });

  it('of a batch that claims to hold millions, and cannot be read, it hands out no more than ten thousand', () => {
    const bomb = stored(batchOf('a'), 0, { attributes: 1, pack: () => Buffer.from('no gzip') });
    bomb.writeInt32BE(2_000_000_000, 23);
    const { records, next } = decodeRecords('t', 1, bomb, 0, [], 'hand_out');
    expect([records.length, records.at(-1)?.offset, next]).toEqual([10_000, 2_000_000_000, 2_000_000_001]);
  });

  it('whatever the bytes, it answers or throws, and soon', () => {
    const batch = stored(batchOf('a', 'bb', 'ccc'), 0);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(batch.length - 1), fc.nat(255)), { maxLength: 5 }), (changes) => {
        const broken = Buffer.from(batch);
        for (const [at, byte] of changes) broken[at] = byte;
        try {
          expect(decode(broken).records.length).toBeLessThanOrEqual(batch.length);
        } catch (error) {
          expect((error as Error).name).toBe('KafkaError');
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('primitive types', () => {
  it('crc32c of the well-known text (RFC 3720 and others)', () => {
    expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  });

  it('varints and int64 come back', () => {
    const buf = Buffer.alloc(16);
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 }), (small, large) => {
        const end = writeVarint(buf, small, 0);
        expect(end).toBe(varintSize(small));
        expect(new Cursor(buf, 0).varint()).toBe(small);
        writeInt64(buf, large, 0);
        expect(readInt64(buf, 0)).toBe(large);
        expect(buf.readBigInt64BE(0)).toBe(BigInt(large));
      }),
    );
  });

  it('reads varlongs up to 2^52', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), (value) => {
        const bytes: number[] = [];
        let rest = BigInt(value) >= 0n ? BigInt(value) * 2n : -BigInt(value) * 2n - 1n;
        do {
          bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
          rest >>= 7n;
        } while (rest > 0n);
        expect(new Cursor(Buffer.from(bytes), 0).varint()).toBe(value);
      }),
    );
  });
});

it('a fair share: no more than there is, all of it where it fits, and nobody starves', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(1_000), { maxLength: 20 }),
      fc.integer({ min: 1, max: 2_000 }),
      (available, max) => {
        const taken = fairShare(available, max);
        const total = available.reduce((sum, count) => sum + count, 0);
        expect(taken.reduce((sum, count) => sum + count, 0)).toBe(Math.min(max, total));
        const open = available.filter((count) => count > 0).length;
        for (const [i, count] of taken.entries()) {
          expect(count).toBeLessThanOrEqual(available[i] ?? 0);
          if (open <= max)
            expect(count).toBeGreaterThanOrEqual(Math.min(available[i] ?? 0, Math.floor(max / open)));
        }
      },
    ),
  );
});
