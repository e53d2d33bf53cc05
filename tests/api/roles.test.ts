import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiOf, rolesTable } from '../../api/openapi.ts';
import { ROLES } from '../../api/roles.ts';
import type { Route } from '../../api/route.ts';
import { type ApiWorld, as, createApiWorld, testKeys } from './world.ts';

/** `UPDATE=1` writes the pages instead of comparing them. */
const update = process.env.UPDATE === '1';
const docs = (name: string) => fileURLToPath(new URL(`../../docs/api/${name}`, import.meta.url));

function holds(name: string, text: string): void {
  if (update) writeFileSync(docs(name), text);
  else expect(readFileSync(docs(name), 'utf8')).toBe(text);
}

/** A request of each route that says nothing of the project. */
function requestOf({ method, path, body }: Route): InjectOptions {
  const url = path.replaceAll(/\{\w+\}/g, 'none');
  return body === undefined
    ? { method, url }
    : { method, url, headers: { 'content-type': 'application/json' }, payload: '{}' };
}

/** An event stream that was opened does not end: it is allowed. */
async function statusOf(answer: Promise<{ readonly statusCode: number }>): Promise<number> {
  const open = new Promise<{ readonly statusCode: number }>((done) =>
    setTimeout(done, 1_000, { statusCode: 200 }),
  );
  return (await Promise.race([answer, open])).statusCode;
}

describe('who may call what', () => {
  let world: ApiWorld;
  beforeAll(async () => {
    world = await createApiWorld({ keys: testKeys() });
  });
  afterAll(() => world.close());

  it('every route is walked with every role, and nothing is allowed that is not declared', async () => {
    const wrong: string[] = [];
    for (const route of world.routes) {
      const request = requestOf(route);
      for (const role of [null, ...ROLES]) {
        const headers = { ...request.headers, ...(role === null ? {} : as(role)) };
        const statusCode = await statusOf(world.app.inject({ ...request, headers }));
        const allowed =
          route.access === 'public' || (role !== null && (route.access as readonly string[]).includes(role));
        // Who guesses too often without a key is told to wait.
        const refused = role === null ? [401, 429].includes(statusCode) : statusCode === 403;
        // `POST /v1/session` answers 401 of its own.
        if (allowed === refused && route.name !== 'logIn')
          wrong.push(`${route.method} ${route.path} with ${role ?? 'no key'}: ${statusCode}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('docs/api/roles.md holds the table', () => {
    const intro = `# Who may call what

Made from the routes by \`tests/api/roles.test.ts\`, which walks them all with every role. Write it anew with
\`UPDATE=1 npx vitest run tests/api/roles.test.ts\`.

A key is made with \`millrace keys create NAME --role ROLE\`. \`viewer\` looks and asks, \`operator\` changes what runs as well, \`admin\` may
do everything, \`producer\` sends events and does nothing else. What is not marked is refused.
`;
    holds('roles.md', `${intro}\n${rolesTable(world.routes, ROLES)}\n`);
  });

  it('docs/api/openapi.json is the document that is served', async () => {
    const version = JSON.parse(
      readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
    ).version as string;
    holds('openapi.json', `${JSON.stringify(openApiOf(world.routes, version), null, 2)}\n`);
    const { body } = await world.app.inject('/openapi.json');
    const served = JSON.parse(body) as { info: { version: string } };
    expect({ ...served, info: { ...served.info, version } }).toEqual(openApiOf(world.routes, version));
  });

  it('names each operation once, and each of its parameters', () => {
    const names = world.routes.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { path, params } of world.routes) expect(/\{/.test(path), path).toBe(params !== undefined);
  });
});
