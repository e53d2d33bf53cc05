import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { FILES } from '../../config/declarations.ts';
import { parseConfig } from '../../config/document.ts';
import { problemsOf } from '../../config/issues.ts';
import { FILE_KINDS } from '../../config/json-schema.ts';

const reference = readFileSync(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');
const examples = [...reference.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => parse(text));
const WRONG = [60, 1.5, true, 'beginning', '', null, [], ['a'], {}, { a: 1 }];

type Tree = Record<string | number, unknown>;

/** Every place of a value, and the value with something else there. */
function* withWrong(tree: Tree, path: readonly string[] = []): Generator<{ path: string; tree: Tree }> {
  for (const [key, value] of Object.entries(tree)) {
    for (const wrong of WRONG)
      yield {
        path: [...path, key].join('.'),
        tree: Object.assign(structuredClone(tree), { [key]: wrong }),
      };
    if (typeof value === 'object' && value !== null)
      for (const inner of withWrong(value as Tree, [...path, key]))
        yield { path: inner.path, tree: Object.assign(structuredClone(tree), { [key]: inner.tree }) };
  }
}

describe('a value of a wrong type', () => {
  it.each(FILE_KINDS.map((kind, i) => [kind, i] as const))(
    'is told in one sentence, with the place and the mend, in a %s',
    (kind, i) => {
      const { schema, file } = FILES[kind];
      let told = 0;
      for (const { path, tree } of withWrong(examples[i] as Tree)) {
        const parsed = schema.safeParse(tree);
        if (parsed.success) continue;
        const { document } = parseConfig(file, stringify(tree));
        for (const { message, mend, line } of problemsOf(document, schema, parsed.error)) {
          told += 1;
          const sentence = `${path}: ${message} ${mend}`;
          expect(line, sentence).toBeGreaterThan(0);
          expect(message, sentence).toMatch(/^[A-Z'].*\.$/s);
          expect(mend, sentence).toMatch(/^[A-Z].*[.?]$/s);
          expect(sentence).not.toMatch(/undefined|\[object|NaN|Invalid|expected|received/);
          // A value alone does not say what it belongs to.
          expect(message, sentence).not.toMatch(/^''/);
        }
      }
      expect(told).toBeGreaterThan(20);
    },
  );
});
