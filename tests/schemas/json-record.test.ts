import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventRecord } from '../../schemas/event.ts';
import { createJsonDecoder } from '../../schemas/json-event.ts';
import { createJsonEncoder } from '../../schemas/json-record.ts';
import type { EventMapping, Source } from '../../schemas/project.ts';

const source = {
  name: 'payments',
  fields: [
    { name: 'card', type: 'string' },
    { name: 'amount', type: 'double' },
    { name: 'items', type: 'int' },
    { name: 'paid', type: 'bool' },
    { name: 'due', type: 'timestamp' },
  ],
  events: [{ name: 'payment', required: [], rules: [] }],
} as unknown as Source;

const mappingOf = (unit: 'ms' | 's' | 'iso', type: EventMapping['type']): EventMapping => ({
  id: 'meta.id',
  type,
  time: { path: 'meta.at', unit },
  fields: { card: 'card.token', amount: 'sum.value', items: 'items', paid: 'paid', due: 'sum.due' },
});

describe('createJsonEncoder', () => {
  it('law: what is written reads back', () => {
    const event = fc.record({
      id: fc.string({ minLength: 1 }),
      type: fc.constant('payment'),
      time: fc.integer({ min: 0, max: 4e12 }),
      card: fc.option(fc.string()),
      amount: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Object.is(x, -0))),
      items: fc.option(fc.maxSafeInteger().filter((x) => !Object.is(x, -0))),
      paid: fc.option(fc.boolean()),
      due: fc.option(fc.integer({ min: 0, max: 4e12 })),
    });
    const forms = fc.constantFrom(
      mappingOf('ms', { path: 'kind' }),
      mappingOf('s', { constant: 'payment' }),
      mappingOf('iso', { path: 'meta.kind' }),
    );
    fc.assert(
      fc.property(event, forms, (one: EventRecord, mapping) => {
        const bytes = createJsonEncoder(source, mapping)(one);
        expect(createJsonDecoder(source, mapping)(bytes)).toEqual(one);
      }),
    );
  });

  it('lets one path serve two names of one value, and refuses two values', () => {
    const mapping: EventMapping = { ...mappingOf('ms', { constant: 'payment' }), id: 'card.token' };
    const encode = createJsonEncoder(source, mapping);
    const event = { id: 'c1', type: 'payment', time: 0, card: 'c1' };
    expect(JSON.parse(Buffer.from(encode(event)).toString())).toEqual({
      card: { token: 'c1' },
      meta: { at: 0 },
    });
    expect(() => encode({ ...event, card: 'c2' })).toThrow(/cannot write 'card' at card.token/);
  });
});
