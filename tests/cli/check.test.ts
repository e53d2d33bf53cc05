import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../architecture/sources.ts';

it('check says which features of a view a row of the windows is about', () => {
  const [command, project] = [join(root, 'cli/millrace.ts'), join(root, 'docs/examples/payments')];
  const out = execFileSync(process.execPath, [command, 'check', '--project', project], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  // Sketches have steps of their own: the same window has another hop.
  expect(out).toMatch(/^card +others +1m +1s +exact *$/m);
  expect(out).toMatch(/^card +distinct, quantile +1m +10s +exact *$/m);
});
