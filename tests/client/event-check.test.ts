import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventReader } from '../../api/event-input.ts';
import { createEventCheck } from '../../client/event-check.ts';
import { DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord, Scalar } from '../../schemas/event.ts';
import { createRawCodec } from '../../schemas/event-schema.ts';
import { createJsonDecoder, createJsonEncoder } from '../../schemas/json-event.ts';
import type { Source, SourceFormat } from '../../schemas/project.ts';

const json = (unit: 'ms' | 's' | 'iso', constant = false): SourceFormat => ({
  kind: 'json',
  mapping: {
    id: 'meta.id',
    type: constant ? { constant: 'paid' } : { path: 'meta.type' },
    time: { path: 'meta.at', unit },
    fields: { card: 'card.token', amount: 'amount', count: 'count', due: 'due', fresh: 'fresh' },
  },
});

const sourceOf = (format: SourceFormat): Source => ({
  name: 'payments',
  partitions: 2,
  format,
  key: 'card',
  fields: [
    { name: 'card', type: 'string' },
    { name: 'amount', type: 'double' },
    { name: 'count', type: 'int' },
    { name: 'due', type: 'timestamp' },
    { name: 'fresh', type: 'bool' },
  ],
  events: [
    { name: 'paid', required: ['amount'], rules: [] },
    { name: 'refunded', required: [], rules: [] },
  ],
  outOfOrderness: 0,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
  maxFuture: null,
});

const FORMATS = {
  avro: { kind: 'avro' },
  ms: json('ms'),
  s: json('s'),
  iso: json('iso'),
  constant: json('ms', true),
} satisfies Record<string, SourceFormat>;

/** JSON has one zero. */
const unsigned = (value: Scalar) => (value === 0 ? 0 : value);

const good = { id: 'e1', type: 'paid', time: 1_700_000_000_123, card: 'c', amount: 1.5 };
const bad: ReadonlyArray<readonly [unknown: Readonly<Record<string, unknown>>, sentence: RegExp]> = [
  [{ ammount: 1 }, /no field 'ammount'/],
  [{ id: '' }, /its id is ''/],
  [{ id: 7 }, /its id is 7/],
  [{ id: 'a\ud800' }, /its id is/],
  [{ type: 'payed' }, /'payed'/],
  [{ type: null }, /its type is null/],
  [{ time: 1.5 }, /its time is 1.5/],
  [{ time: Number.NaN }, /its time is NaN/],
  [{ time: '2026-01-01' }, /its time is '2026/],
  [{ time: 9e15 }, /its time is 9000000000000000/],
  [{ time: undefined }, /its time is undefined/],
  [{ amount: null }, /'amount' is missing/],
  [{ amount: '1.5' }, /'amount' is "1.5", which is not a double/],
  [{ amount: Number.POSITIVE_INFINITY }, /'amount' is Infinity/],
  [{ count: 1.5 }, /'count' is 1.5, which is not a int/],
  [{ count: 2 ** 53 }, /'count' is 9007199254740992/],
  [{ count: 7n }, /'count' is 7/],
  [{ due: 9e15 }, /'due' is 9000000000000000/],
  [{ due: new Date(0) }, /'due' is "1970/],
  [{ fresh: 'yes' }, /'fresh' is "yes"/],
  [{ fresh: 1 }, /'fresh' is 1/],
  [{ card: { token: 'c' } }, /'card' is {"token":"c"}/],
  [{ card: '\udc00' }, /'card' is/],
  [{ card: null }, /no 'card', which keys/],
];

describe.each(Object.entries(FORMATS))('what is sent in the format %s', (_, format) => {
  const source = sourceOf(format);
  const check = createEventCheck(source);

  it('is refused in one sentence where the source cannot carry it', () => {
    expect(check(good)).toBeNull();
    for (const [change, sentence] of bad)
      expect(check({ ...good, ...change } as EventRecord), JSON.stringify(Object.keys(change))).toMatch(
        sentence,
      );
  });

  it('law: what passes is read back the same', () => {
    const codec = format.kind === 'avro' ? createRawCodec(source, 'p', 1) : null;
    const encode =
      codec !== null
        ? (event: EventRecord) => codec.encode(event)
        : createJsonEncoder(source, format.kind === 'json' ? format.mapping : (null as never));
    const decode =
      codec !== null
        ? (bytes: Uint8Array) => codec.decode(bytes)
        : createJsonDecoder(source, format.kind === 'json' ? format.mapping : (null as never));
    const value = fc.oneof(
      fc.string(),
      fc.double(),
      fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
      fc.boolean(),
      fc.constant(null),
    );
    const field = <T>(own: fc.Arbitrary<T>) =>
      fc.oneof({ weight: 4, arbitrary: own }, { weight: 1, arbitrary: value });
    const event = fc.record({
      id: field(fc.string({ unit: 'binary' })),
      type: fc.constantFrom('paid', 'refunded', 'payed'),
      time: field(fc.integer({ min: -7e13, max: 3e14 })),
      card: field(fc.string({ unit: 'binary' })),
      amount: field(fc.double()),
      count: field(fc.integer({ min: -(2 ** 52), max: 2 ** 52 })),
      due: field(fc.integer({ min: -1e13, max: 1e13 })),
      fresh: field(fc.boolean()),
    });
    let passed = 0;
    fc.assert(
      fc.property(event, (one) => {
        if (check(one as EventRecord) !== null) return;
        passed += 1;
        const read = decode(encode(one as EventRecord));
        if (read instanceof DecodeFailure) throw new Error(read.detail);
        for (const [name, sent] of Object.entries(one))
          expect({ name, value: unsigned(read[name] ?? null) }).toEqual({ name, value: unsigned(sent) });
      }),
      { numRuns: 1_000 },
    );
    expect(passed).toBeGreaterThan(20);
  });
});

describe('an id that is a field as well', () => {
  const source: Source = {
    ...sourceOf({
      kind: 'json',
      mapping: {
        id: 'order',
        type: { constant: 'paid' },
        time: { path: 'at', unit: 'ms' },
        fields: { card: 'card', amount: 'amount', count: 'order', due: 'at', fresh: 'fresh' },
      },
    }),
  };
  const check = createEventCheck(source);
  const one = { ...good, id: '7' };

  it('is sent where both say the same, or the field nothing', () => {
    expect(check({ ...one, count: 7 })).toBeNull();
    expect(check(one)).toBeNull();
  });

  it('is refused where they differ', () => {
    expect(check({ ...one, count: 8 })).toBe(
      "'count' is 8 and 'id' is 7, but both are 'order' of a record: send the same, or leave 'count' out.",
    );
    expect(check({ ...one, due: 1 })).toContain("both are 'at'");
  });

  it('over HTTP the field gives what was left out', () => {
    const read = createEventReader(source);
    const usual = { type: null, now: 1_700_000_000_000 };
    const fields = { type: 'paid', card: 'c', amount: 1.5, count: 7 };
    expect(read(fields, usual)).toMatchObject({ event: { id: '7', time: usual.now, due: usual.now } });
    expect(read({ ...fields, due: good.time }, usual)).toMatchObject({ event: { id: '7', time: good.time } });
    expect(read({ ...fields, id: '8' }, usual)).toMatchObject({ fault: { code: 'differs' } });
  });
});
