import { describe, expect, it } from 'vitest';
import { compileFix } from '../../config/fix.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { edited, FILES, load } from './project.ts';

const [orders] = load(FILES).sources;
if (orders === undefined) throw new Error('the project has a source');
const event: EventRecord = {
  id: 'a',
  type: 'order.placed',
  time: 5,
  order_id: 'o',
  customer: null,
  amount: 250,
};

/** What is wrong with a fix, a line a problem. */
function problemsIn(text: string, source = orders): string[] {
  try {
    if (source !== undefined) compileFix('fix.yaml', text, source);
    return [];
  } catch (error) {
    return String(error)
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
}

describe('a fix', () => {
  it('gives fields of some events other values', () => {
    const text =
      'fix: cents\nwhere: amount > 100\nset: {amount: amount / 100, time: time + 1, customer: "\'nobody\'"}';
    const fix = compileFix('fix.yaml', text, orders);
    expect(fix).toMatchObject({ name: 'cents', mapping: null });
    expect([fix.where?.(event), fix.where?.({ ...event, amount: 5 })]).toEqual([true, false]);
    expect(fix.set.map(({ field, evaluate }) => [field, evaluate(event)])).toEqual([
      ['amount', 2.5],
      ['time', 6],
      ['customer', 'nobody'],
    ]);
  });

  it('may say how records are read, as a source does, in YAML or JSON', () => {
    const json = {
      id: 'key',
      type: { constant: 'order.placed' },
      time: { path: 'at', unit: 's' },
      fields: { amount: 'sum' },
    };
    const { mapping } = compileFix('body', JSON.stringify({ fix: 'older', json }), orders);
    expect(mapping).toMatchObject({ ...json, fields: { amount: 'sum', customer: 'customer' } });
  });

  it('says what is wrong, where, and how to mend it', () => {
    expect(problemsIn('fix: a\nset:\n  id: "\'x\'"\n  amont: 1 + 1\n  amount: customer\n')).toEqual([
      'fix.yaml:3:3: An event comes back under its own id. Leave `id` out.',
      "fix.yaml:4:3: The source 'orders' has no field 'amont'. Did you mean 'amount'?",
      'fix.yaml:5:11: `customer` is a text, but a number is needed here. Write an expression that gives a number.',
    ]);
    expect(problemsIn('fix: a')).toEqual(["fix.yaml:1:1: The fix changes nothing. Write 'set:' or 'json:'."]);
    expect(problemsIn('fix: a\nwhere: amount\nset: {amount: amount / 2}')[0]).toContain(
      'fix.yaml:2:8: `amount` is a number',
    );
    expect(problemsIn('fix: a\nsets: {amount: amount / 2}')[0]).toContain('fix.yaml:2:1:');
    expect(problemsIn('set: [')[0]).toContain('fix.yaml:1:7: This is not YAML');
    expect(problemsIn('- a')[0]).toContain('fix.yaml:1:1:');
  });

  it("cannot write records of a team's own schema", () => {
    const registry =
      'format: {registry: {subject: s, id: id, type: type, time: {path: at, unit: ms}}}\n    key: order_id';
    const [source] = load({ ...FILES, ...edited('project.yaml', 'key: order_id', registry) }).sources;
    expect(problemsIn('fix: a\nset: {amount: amount / 2}', source)[0]).toContain(
      'which Millrace does not write',
    );
  });
});
