import { expect, it } from 'vitest';
import { faultOfNode } from '../../cli/node-version.ts';
import { read } from '../architecture/sources.ts';

it('an old Node is told which one is needed', () => {
  expect(faultOfNode('20.20.2')).toBe(
    "Millrace needs Node 22.15 or newer, and this is Node 20.20.2: install a newer one (https://nodejs.org), or put one into the project with 'npm install node@24'.",
  );
  for (const old of ['22.14.0', '18.0.0', '21.9.9']) expect(faultOfNode(old)).not.toBeNull();
  for (const good of ['22.15.0', '22.21.1', '23.0.0', '24.1.0', process.versions.node])
    expect(faultOfNode(good)).toBeNull();
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  expect(engines.node).toBe('>=22.15');
});

it('the program looks at the version before it imports anything', () => {
  const text = read('cli/millrace.ts');
  expect(text).not.toMatch(/^import /m);
  expect(text.indexOf('faultOfNode(process')).toBeLessThan(text.indexOf("import('node:module')"));
});
