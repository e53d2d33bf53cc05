import { describe, expect, it } from 'vitest';
import { describeProject } from '../../config/check.ts';
import { ConfigError } from '../../config/load.ts';
import { isForeign, rawTopic } from '../../schemas/names.ts';
import { FILES, lines, load } from './project.ts';

const source = (name: string, more: string) => `source: ${name}
key: id
out_of_orderness: 1s
format: {json: {id: id, type: {constant: ${name}.seen}, time: {path: at, unit: iso}}}
fields: {amount: double}
events: {${name}.seen: }
${more}`;

const withSources = (sources: Readonly<Record<string, string>>, prefix?: string) => {
  const files = Object.entries(sources).map(([name, more]) => [`sources/${name}.yaml`, source(name, more)]);
  const customer = (FILES['views/customer.yaml'] ?? '').replace('resolution', 'source: orders\nresolution');
  return load(
    { ...FILES, 'views/customer.yaml': customer, ...Object.fromEntries(files) },
    prefix === undefined ? {} : { prefix },
  );
};

function said(sources: Readonly<Record<string, string>>, prefix?: string): string[] {
  try {
    withSources(sources, prefix);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return lines(error.problems);
    throw error;
  }
}

describe('a source that names a topic', () => {
  it('reads it, and the others the one that is made', () => {
    const project = withSources({ refunds: 'topic: erp.Refunds_v2', carts: '' });
    const topics = project.sources.map((one) => [one.name, rawTopic(project.prefix, one)]);
    expect(Object.fromEntries(topics)).toEqual({
      orders: 'shop.orders.raw',
      refunds: 'erp.Refunds_v2',
      carts: 'shop.carts.raw',
    });
    expect(project.sources.filter((one) => isForeign(project.prefix, one)).map(({ name }) => name)).toEqual([
      'refunds',
    ]);
    expect(
      describeProject(project).remarks.filter((one) => one.includes('neither makes nor changes')),
    ).toEqual([expect.stringMatching(/^refunds is read from erp\.Refunds_v2, .*3 partitions or more/)]);
  });

  it('may name the one that Millrace would make: then it is Millrace’s', () => {
    const project = withSources({ refunds: 'topic: shop.refunds.raw' });
    expect(project.sources.some((one) => isForeign(project.prefix, one))).toBe(false);
    // The same project once more, beside the first, reads what the first made.
    const again = withSources({ refunds: 'topic: shop.refunds.raw' }, 'try1');
    expect(again.sources.filter((one) => isForeign(again.prefix, one)).map(({ name }) => name)).toEqual([
      'refunds',
    ]);
  });

  it.each([
    [
      'two sources of one topic',
      { carts: 'topic: erp.all', refunds: 'topic: erp.all' },
      [
        "sources/refunds.yaml:7:8: The source 'carts' reads the topic 'erp.all' already, and each record belongs to one source. Declare the events of both in 'carts', or write them to topics of their own.",
      ],
    ],
    [
      'the topic that is made for another source, whichever file comes first',
      { carts: 'topic: shop.refunds.raw', refunds: '' },
      [
        "sources/carts.yaml:7:8: The source 'refunds' reads the topic 'shop.refunds.raw' already, and each record belongs to one source. Declare the events of both in 'refunds', or write them to topics of their own.",
      ],
    ],
    [
      'a topic that Millrace writes',
      { carts: 'topic: shop.orders.validated' },
      [
        "sources/carts.yaml:7:8: Millrace itself writes the topic 'shop.orders.validated'. Name the topic that the producers write to.",
      ],
    ],
    [
      'a name that no topic has',
      { carts: 'topic: erp/carts' },
      [
        "sources/carts.yaml:7:8: 'erp/carts' is not the name of a topic. Use at most 249 letters, digits, dots, - and _.",
      ],
    ],
  ])('refuses %s', (_, sources, expected) => expect(said(sources)).toEqual(expected));

  it('refuses the format that Millrace makes of the fields', () => {
    const text = FILES['project.yaml']?.replace(
      '    key: order_id',
      '    topic: erp.orders\n    key: order_id',
    );
    expect(() => load({ ...FILES, 'project.yaml': text ?? '' })).toThrow(
      "A topic of your own has a format of its own, and 'avro', the default, is one that Millrace makes of the fields. Write 'format: {json: …}'",
    );
  });
});
