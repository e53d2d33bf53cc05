import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../architecture/sources.ts';
import { anchorsOf, documents, linksOf } from './documents.ts';

/** What is wrong with a link, or nothing. */
function broken(document: string, link: string): string | undefined {
  if (/^(?:https?|mailto):/.test(link)) return undefined;
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? document : posix.join(posix.dirname(document), path);
  if (!existsSync(join(root, target))) return `${link}: ${target} does not exist`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchorsOf(target).has(anchor) ? undefined : `${link}: ${target} has no heading #${anchor}`;
}

describe('links between documents', () => {
  it('are looked at in all documents', () => {
    expect(documents().length).toBeGreaterThan(30);
    expect(documents().flatMap(linksOf).length).toBeGreaterThan(50);
  });

  for (const document of documents())
    it(`of ${document} lead to a file and a heading`, () => {
      const found = linksOf(document).flatMap((link) => broken(document, link) ?? []);
      expect(found).toEqual([]);
    });

  it('that lead nowhere are found', () => {
    expect(broken('docs/user_guides/alerts.md', 'alert.md')).toContain('does not exist');
    expect(broken('README.md', 'docs/user_guides/failures.md#tries')).toContain('no heading #tries');
    expect(broken('README.md', '#try-it')).toBeUndefined();
  });
});
