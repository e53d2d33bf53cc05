import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { defineConfig } from 'vitepress';
import { slugOf } from './slug.ts';

const docs = join(import.meta.dirname, '..');
const data = join(docs, '../data');

const titleOf = (file: string) => /^# +(.+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? file;

/** The pages of a directory, by their first heading; those that are named come first. */
function pagesOf(directory: string, first: readonly string[] = []) {
  const rank = (name: string) => (first.includes(name) ? first.indexOf(name) : first.length);
  return readdirSync(join(docs, directory))
    .filter((name) => name.endsWith('.md') && !/^(?:index\.md|\[)/.test(name))
    .map((name) => name.slice(0, -'.md'.length))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .map((name) => ({ text: titleOf(join(docs, directory, `${name}.md`)), link: `/${directory}/${name}` }));
}

const document = JSON.parse(readFileSync(join(docs, 'api/openapi.json'), 'utf8')) as {
  tags: ReadonlyArray<{ name: string }>;
};
const operations = document.tags.map(({ name }) => ({ text: name, link: `/api/${slugOf(name)}` }));
const examples = readdirSync(join(docs, 'examples')).map((name) => ({
  text: titleOf(join(docs, `examples/${name}/README.md`)),
  link: `/examples/${name}/`,
}));

/** The order in which a new reader needs them. */
const GUIDES = ['project', 'declare', 'deploy', 'drift_alert', 'trainer', 'client', 'api', 'console'];

/** A link to a file of the repository that is no page of the site. */
const leadsOut = (link: string, page: string) => {
  const target = join(docs, page, '..', link.split('#')[0] ?? '');
  return relative(docs, target).startsWith('..') || (existsSync(target) && !target.endsWith('.md'));
};

export default defineConfig({
  title: 'Millrace',
  description: 'Real-time machine learning on Kafka, in TypeScript.',
  // The site works below any path of any host: `SITE_BASE=/millrace/ make site`.
  base: (process.env.SITE_BASE ?? '/') as `/${string}/`,
  outDir: join(data, 'site'),
  cacheDir: join(data, 'vitepress'),
  lastUpdated: false,
  rewrites: { 'examples/:name/README.md': 'examples/:name/index.md' },
  markdown: {
    anchor: { slugify: slugOf },
    config(md) {
      // Links to code become the names of the files: the site holds the documents alone.
      md.core.ruler.push('leads_out', ({ tokens, env }) => {
        const page = (env as { relativePath?: string }).relativePath ?? 'index.md';
        for (const { children } of tokens)
          for (const token of children ?? []) {
            if (token.type !== 'link_open') continue;
            const link = String(token.attrGet('href'));
            if (link.includes('://') || link.startsWith('#')) continue;
            // A README is the index of its directory.
            token.attrSet('href', link.replace(/(^|\/)README\.md(?=#|$)/, '$1'));
            if (leadsOut(link, page)) {
              token.tag = 'span';
              token.attrs = [['title', relative(docs, join(docs, page, '..', link))]];
              const end = children?.slice(children.indexOf(token)).find(({ type }) => type === 'link_close');
              if (end) end.tag = 'span';
            }
          }
      });
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Guides', link: '/user_guides/project', activeMatch: '/user_guides/' },
      { text: 'Architecture', link: '/architecture/flow', activeMatch: '/architecture/' },
      { text: 'API', link: '/api/roles', activeMatch: '/api/' },
      { text: 'Reference', link: '/reference/configuration' },
    ],
    sidebar: [
      { text: 'Guides', items: pagesOf('user_guides', GUIDES) },
      { text: 'Examples', items: examples },
      { text: 'Architecture', items: pagesOf('architecture', ['flow', 'features']) },
      { text: 'Reference', items: pagesOf('reference') },
      { text: 'HTTP API', collapsed: true, items: [...pagesOf('api'), ...operations] },
      { text: 'Decisions', collapsed: true, items: pagesOf('decisions') },
    ],
    outline: [2, 3],
  },
});
