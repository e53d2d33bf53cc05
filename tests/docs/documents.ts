import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { read, root } from '../architecture/sources.ts';

/** Every Markdown file that a reader meets: at the root, below .github/, docs/ and notebooks/. Relative to the root. */
export function documents(): string[] {
  const below = (directory: string) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${directory}/${name.replaceAll('\\', '/')}`,
    );
  return [...readdirSync(root), ...below('docs'), ...below('notebooks')]
    .filter((name) => name.endsWith('.md') && !/(?:^|\/)(?:node_modules|\.vitepress)\//.test(name))
    .sort();
}

export type Block = {
  readonly document: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  /** The word behind the fence; empty where there is none. */
  readonly language: string;
  readonly text: string;
};

/** The fenced code blocks of a document, in order. */
export function blocksOf(document: string): Block[] {
  const text = read(document);
  return [...text.matchAll(/^```(\w*)[^\n]*\n([\s\S]*?)^```/gm)].map((match) => ({
    document,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] ?? '',
    text: match[2] ?? '',
  }));
}

const withoutBlocks = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '');

/** The targets of all links and pictures of a document, as they are written. */
export function linksOf(document: string): string[] {
  const prose = withoutBlocks(read(document)).replace(/`[^`\n]*`/g, '``');
  return [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)|<(?:img|a)\b[^>]*?(?:src|href)="([^"]+)"/g)].map(
    ([, link, attribute]) => link ?? attribute ?? '',
  );
}

/** The anchors of a document's headings, made as GitHub makes them. */
export function anchorsOf(document: string): Set<string> {
  const seen = new Map<string, number>();
  return new Set(
    [...withoutBlocks(read(document)).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading = '']) => {
      const slug = heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-');
      const repeats = seen.get(slug) ?? 0;
      seen.set(slug, repeats + 1);
      return repeats === 0 ? slug : `${slug}-${repeats}`;
    }),
  );
}
