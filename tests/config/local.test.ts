import { describe, expect, it } from 'vitest';
import { isLocalModel } from '../../streams/local/is-local.ts';
import { FILES, load, problems } from './project.ts';

const VIEW = FILES['views/customer.yaml'] ?? '';
const MODEL = FILES['models/returns.yaml'] ?? '';
const PROJECT = FILES['project.yaml'] ?? '';

/** Orders by customer, and a view of customers. */
const KEYED = PROJECT.replace('key: order_id', 'key: customer');
const sentences = (files: Record<string, string>) => problems(files).map((one) => String(one.message ?? one));

describe('a local view', () => {
  it('is another version of the view; one that is not local keeps the version that it had', () => {
    const plain = load({ ...FILES, 'project.yaml': KEYED });
    const local = load({ ...FILES, 'project.yaml': KEYED, 'views/customer.yaml': `${VIEW}local: true\n` });
    const off = load({ ...FILES, 'project.yaml': KEYED, 'views/customer.yaml': `${VIEW}local: false\n` });
    expect(local.views[0]?.id).not.toBe(plain.views[0]?.id);
    expect(off.views[0]?.id).toBe(plain.views[0]?.id);
    expect(
      [plain, local].map((project) => project.models.map((model) => isLocalModel(project, model))),
    ).toEqual([[false], [true]]);
  });

  it('whose entity is not the key of the source is refused', () => {
    const [sentence] = sentences({ 'views/customer.yaml': `${VIEW}local: true\n` });
    expect(sentence).toContain('its entity is not the key of');
  });

  it('of other partitions than its source is refused', () => {
    const view = `${VIEW}local: true\npartitions: 3\n`;
    const [sentence] = sentences({ 'project.yaml': KEYED, 'views/customer.yaml': view });
    expect(sentence).toContain("is local and has 3 partitions; its source 'orders' has 2");
  });

  it('of two sources is refused', () => {
    const second = KEYED.replace(
      / {2}- source: orders[\s\S]*/,
      (text) => text + text.replace('orders', 'returns').replaceAll('order.', 'return.'),
    );
    const view = `${VIEW.replaceAll('event: order.placed, ', 'source: orders, ')}local: true\nsource: [orders, returns]\n`;
    const found = sentences({ 'project.yaml': second, 'views/customer.yaml': view });
    expect(found.join(' ')).toContain('is local and reads 2 sources');
  });

  it('that a model reads by another field is not enough to score where it is ingested', () => {
    const model = MODEL.replace('  customer:\n', '  customer: { key: [order_id] }\n');
    const project = load({
      ...FILES,
      'project.yaml': KEYED,
      'views/customer.yaml': `${VIEW}local: true\n`,
      'models/returns.yaml': model,
    });
    expect(project.models.map((one) => isLocalModel(project, one))).toEqual([false]);
  });
});
