import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PREDICTION_REFUSALS, REFUSAL_CODES } from '../../schemas/refusal.ts';
import { read, root, sourceFiles } from './sources.ts';

const NOT_OURS = new Set(['node_modules', 'tests', 'data']);
const documented = read('docs/user_guides/failures.md');

/** Codes of errors, as their classes declare them. */
function errorCodes(): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !NOT_OURS.has(entry.name))
    .flatMap(({ name }) => sourceFiles(name))
    .flatMap((file) =>
      [...read(file).matchAll(/readonly code = '([a-z_]+)'/g)].map(([, code]) => code ?? ''),
    );
}

describe('docs/user_guides/failures.md', () => {
  it('names every code of a refusal and of an error', () => {
    const codes = new Set([...Object.values(REFUSAL_CODES).flat(), ...PREDICTION_REFUSALS, ...errorCodes()]);
    expect(codes.size).toBeGreaterThan(50);
    expect([...codes].filter((code) => !documented.includes(`\`${code}\``))).toEqual([]);
  });
});
