import { createReadStream, readdirSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import type { FastifyInstance } from 'fastify';

/**
 * Files of the console: built pages that a browser loads without a key, and that ask for one. They hold nothing of the project. The list
 * is read once, so that no address can lead out of the directory.
 */

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

/** Own scripts and styles alone; no page of another origin may show it in a frame. */
const POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const CONSOLE_PATH = '/console/';

/** Serves the files of `directory` below `/console/`; an address without a file gets index.html, whose script knows its pages. */
export function serveConsole(app: FastifyInstance, directory: string): void {
  const files = new Map<string, string>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(relative(directory, file).split(sep).join('/'), file);
  }
  const index = files.get('index.html');
  if (index === undefined) throw new Error(`${directory} holds no index.html: build the console first.`);
  app.get('/', { config: { open: true } }, (_, reply) => reply.redirect(CONSOLE_PATH, 302));
  app.get(`${CONSOLE_PATH}*`, { config: { open: true } }, (request, reply) => {
    const name = request.url.slice(CONSOLE_PATH.length).split(/[?#]/, 1)[0] ?? '';
    const file = files.get(name) ?? (extname(name) === '' ? index : undefined);
    if (file === undefined) return reply.callNotFound();
    return reply
      .type(TYPES[extname(file)] ?? 'application/octet-stream')
      .header('content-security-policy', POLICY)
      .header('referrer-policy', 'no-referrer')
      .header('cache-control', file === index ? 'no-cache' : 'public, max-age=3600')
      .header('content-length', statSync(file).size)
      .send(createReadStream(file));
  });
}
