import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ANSWERS, answersOf, DOCUMENT, type OpenApi, typeOf } from '../../console/generate.ts';

describe('types of what the API answers with', () => {
  it('are those of the document: write them anew with `node console/generate.ts`', () => {
    const document = JSON.parse(readFileSync(DOCUMENT, 'utf8')) as OpenApi;
    expect(readFileSync(ANSWERS, 'utf8')).toBe(answersOf(document));
  });

  it('say what a schema allows', () => {
    expect(typeOf({ type: 'integer' })).toBe('number');
    expect(typeOf({ anyOf: [{ type: 'string' }, { type: 'null' }] })).toBe('string | null');
    expect(typeOf({ type: ['string', 'null'] })).toBe('string | null');
    expect(typeOf({ enum: ['a', 'b'] })).toBe('"a" | "b"');
    expect(typeOf({ type: 'array', items: { const: 1 } })).toBe('ReadonlyArray<1>');
    expect(typeOf({ type: 'object', additionalProperties: { type: 'number' } })).toBe(
      'Readonly<Record<string, number>>',
    );
    expect(
      typeOf({ type: 'object', properties: { a: {}, 'b-c': { type: 'boolean' } }, required: ['a'] }),
    ).toBe('{ readonly a: unknown; readonly "b-c"?: boolean; }');
  });
});
