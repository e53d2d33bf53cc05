import { describe, expect, it } from 'vitest';
import { entityOf, readKey } from '../../cli/entity-options.ts';
import { zoneOption } from '../../cli/options.ts';
import { edited, FILES, load } from '../config/project.ts';

const project = load({
  ...FILES,
  ...edited('views/customer.yaml', 'entity: [customer]', 'entity: [items, customer]'),
  ...edited('models/returns.yaml', '  customer:\n', '  customer: {key: [items, customer]}\n'),
});
const [view] = project.views;

describe('the entity that a command is asked for', () => {
  const key = (...parts: string[]) => (view === undefined ? '' : entityOf(project, view, readKey(parts)));

  it('is written as that of an event', () => {
    expect(key('items=01', 'customer=a=b|c')).toBe('|1:15:a=b|c');
    expect(key('customer=x', 'items=1.0')).toBe('1|x');
    expect(key('{"items": 1, "customer": "a\\u0000\\n"}')).toBe('1|a\0\n');
    expect(key('items=1', 'customer=')).toBe('|1:10:');
  });

  it('is refused where it is none', () => {
    expect(() => key('items=many', 'customer=x')).toThrow(/'many' is no value of 'items', which is a number/);
    expect(() => key('items')).toThrow(/names no field/);
    expect(() => key('{"items": 1')).toThrow(/no JSON object/);
    expect(() => key('{"items": null}')).toThrow(/'items' of a key is a text/);
    expect(() => zoneOption('Europe/Berln')).toThrow(/Did you mean 'Europe\/Berlin'/);
    expect(zoneOption('UTC')).toBe('UTC');
  });
});
