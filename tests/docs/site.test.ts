import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../architecture/sources.ts';
import { documents } from './documents.ts';

const out = mkdtempSync(join(tmpdir(), 'millrace-site-'));
const vitepress = join(root, 'node_modules/vitepress/bin/vitepress.js');
/** As a host that serves the site below a path. */
const BASE = '/handbook/';

let files: string[] = [];
const page = (name: string) => readFileSync(join(out, name), 'utf8');

beforeAll(async () => {
  await new Promise<void>((done, fail) => {
    execFile(
      process.execPath,
      [vitepress, 'build', join(root, 'docs'), '--outDir', out],
      { env: { ...process.env, SITE_BASE: BASE }, maxBuffer: 1e7 },
      (error, stdout, stderr) => (error ? fail(new Error(stdout + stderr)) : done()),
    );
  });
  files = readdirSync(out, { recursive: true, encoding: 'utf8' });
});

afterAll(() => rmSync(out, { recursive: true, force: true }));

/** Where the site puts a document of `docs/`. */
const placeOf = (document: string) =>
  document
    .replace(/^docs\//, '')
    .replace(/README\.md$/, 'index.md')
    .replace(/\.md$/, '.html');

describe('the site', () => {
  it('has a page for every document, and for every group of the API', () => {
    const wanted = documents().filter((name) => name.startsWith('docs/') && !name.includes('['));
    expect(wanted.length).toBeGreaterThan(30);
    expect(wanted.map(placeOf).filter((name) => !files.includes(name))).toEqual([]);
    const { tags } = JSON.parse(readFileSync(join(root, 'docs/api/openapi.json'), 'utf8'));
    for (const { name } of tags as ReadonlyArray<{ name: string }>)
      expect(files).toContain(`api/${name.replaceAll(' ', '-')}.html`);
    expect(page('api/features.html')).toContain('/v1/features/{view}');
  });

  it('loads nothing from another address: no font, script, style or picture', () => {
    const loads = files
      .filter((name) => name.endsWith('.html'))
      .flatMap((name) => [
        ...page(name).matchAll(/<(?:script|link|img|iframe)\b[^>]*(?:src|href)="([^"]+)"/g),
      ])
      .map(([, address = '']) => address);
    expect(loads.length).toBeGreaterThan(100);
    expect(loads.filter((address) => !address.startsWith(BASE) && !address.startsWith('data:'))).toEqual([]);
    const styles = files.filter((name) => name.endsWith('.css')).map(page);
    expect(styles.length).toBeGreaterThan(0);
    for (const style of styles) expect(style).not.toMatch(/@import|@font-face|url\(["']?https?:/);
  });

  it('has the anchors that its links name', () => {
    const wrong: string[] = [];
    for (const name of files.filter((file) => file.endsWith('.html')))
      for (const [, target = '', anchor = ''] of page(name).matchAll(
        /href="\/handbook\/([^"#]*)#([^"]+)"/g,
      )) {
        const file = target.endsWith('/') || target === '' ? `${target}index.html` : target;
        const html = files.includes(file) ? page(file) : page(`${file}.html`);
        if (!html.includes(`id="${decodeURIComponent(anchor)}"`)) wrong.push(`${name}: ${target}#${anchor}`);
      }
    expect(wrong).toEqual([]);
  });
});
