import { describe, expect, it } from 'vitest';
import { describeProject } from '../../config/check.ts';
import { MINUTE } from '../../schemas/time.ts';
import { edited, FILES, lines, load, problems } from './project.ts';

const declared = (read: string) => edited('models/returns.yaml', '  customer:\n', `  customer: ${read}\n`);
const readOf = (text: string) => load({ ...FILES, ...declared(text) }).models[0]?.reads[0];
const said = (read: string) => lines(problems(declared(read)));

describe('reads', () => {
  it('need their key and take a state of any age by default', () => {
    expect(load(FILES).models[0]?.reads[0]).toMatchObject({ defaults: {}, optional: false, maxAge: null });
  });

  it('may be optional, have defaults, and a largest age', () => {
    expect(readOf('{optional: true, max_age: 2m}')).toMatchObject({
      optional: true,
      maxAge: { ms: 2 * MINUTE, older: 'refuse' },
    });
    expect(readOf('{max_age: 1h, when_older: nulls}')).toMatchObject({ maxAge: { older: 'nulls' } });
    expect(readOf('{defaults: {customer: guest}}')).toMatchObject({ defaults: { customer: 'guest' } });
    expect(readOf('{key: [items], defaults: {items: 0}}')).toMatchObject({ defaults: { items: '0' } });
    expect(readOf('{key: [paid], defaults: {paid: false}}')).toMatchObject({ defaults: { paid: 'false' } });
  });

  it('are remarked on where a request may lack their key', () => {
    const warnings = (read: string) =>
      describeProject(
        load({
          ...FILES,
          ...edited('project.yaml', 'required: [order_id, customer]', 'required: [order_id]'),
          ...declared(read),
        }),
      ).warnings;
    expect(warnings('')).toEqual([
      "A order.placed without 'customer' is refused by returns (missing_key): the read 'customer' needs it. Make the field required, or declare 'optional: true' or 'defaults:' of the read.",
    ]);
    expect(warnings('{optional: true}')).toEqual([]);
    expect(warnings('{defaults: {customer: guest}}')).toEqual([]);
  });

  it('say what cannot be', () => {
    expect(said('{optional: maybe}')[0]).toContain("'optional'");
    expect(said('{defaults: {custmer: guest}}')).toEqual([
      "models/returns.yaml:4:25: 'custmer' is no field of this read's key. Did you mean 'customer'?",
    ]);
    expect(said('{defaults: {customer: 7}}')).toEqual([
      "models/returns.yaml:4:35: The field 'customer' is a text, and its default 7 is not. Write a text, in quotes.",
    ]);
    expect(said('{key: [items], defaults: {items: 1.5}}')[0]).toContain('Write a whole number.');
    expect(said('{when_older: nulls}')[0]).toContain("'when_older' says nothing without 'max_age'.");
    expect(said('{max_age: 1m}')[0]).toContain(
      "Features of 'customer' can be 2m old when nothing is late: its read delay and its resolution. Declare at least 2m.",
    );
    expect(said('{max_age: 90}')[0]).toContain("'max_age'");
  });
});
