import { describe, expect, it } from 'vitest';
import { edited, FILES, problems } from './project.ts';

const P = 'project.yaml';
const V = 'views/customer.yaml';

const said = (files: Readonly<Record<string, string>>) =>
  problems(files).map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}`);

describe('YAML that is no declaration', () => {
  it('an alias without its anchor is a problem with its place', () => {
    expect(said(edited(V, '[1h, 1d]', '*windows'))).toEqual([
      `${V}:5:70 The alias '*windows' repeats nothing.`,
    ]);
  });

  it.each([
    ['in a list', edited(V, 'entity: [customer]', 'entity: &all [customer, *all]')],
    ['in a block', { [P]: `&all\nretention: *all\n${FILES[P]}` }],
    ['among the connections', { 'connections.yaml': '&all\nreceivers: *all\n' }],
  ])('an alias inside of what it repeats is a problem, %s', (_, files) => {
    expect(said(files).join()).toContain("The alias '*all' stands inside the value that it repeats.");
  });

  it('aliases may repeat a value often, but not fill the memory', () => {
    const fields = Array.from({ length: 200 }, (_, i) => `      f${i}: *text\n`).join('');
    expect(said(edited(P, '      order_id: string\n', `      order_id: &text string\n${fields}`))).toEqual(
      [],
    );
    const lists = Array.from({ length: 9 }, (_, i) => `x${i + 1}: &x${i + 1} [${`*x${i},`.repeat(9)}]\n`);
    expect(said({ 'alerts.yaml': `x0: &x0 [0]\n${lists.join('')}` })).toEqual([
      'alerts.yaml:1:1 Its aliases repeat more than 10000 values.',
    ]);
  });

  it('a name that would get lost is refused', () => {
    const field = edited(P, 'order_id: string', '__proto__: string\n      order_id: string');
    expect(said(field)).toContain(`${P}:8:7 '__proto__' is not a name.`);
  });

  it('a second document, and lists without end, are told without the words of a parser', () => {
    expect(said({ [V]: `${FILES[V]}---\n${FILES[V]}` })).toContain(
      `${V}:7:1 The file holds a second document.`,
    );
    expect(said({ 'alerts.yaml': `rules: ${'['.repeat(50_000)}` }).join()).toContain(
      'This is nested too deep.',
    );
  });
});
