import { z } from 'zod';
import type { KeyFile } from '../middleware/keys.ts';
import { cookieOf, sessionOf } from '../middleware/sessions.ts';
import { Problem } from '../problem.ts';
import { ANYBODY, ROLES, WITH_KEY } from '../roles.ts';
import { Reply, type Route, route } from '../route.ts';

export interface SystemDeps {
  readonly version: string;
  /** Null: the server is open, and there is nothing to log in to. */
  readonly keys: KeyFile | null;
  /** Cookies go over TLS alone. */
  readonly secureCookies: boolean;
  readonly now: () => number;
  /** Whether what answers need is there; a sentence for each that is not. */
  readonly ready: () => Promise<readonly string[]>;
  /** The document, once all routes are known. */
  readonly document: () => object;
}

const callerSchema = z.object({
  name: z.string(),
  role: z.enum(ROLES),
  by: z.enum(['key', 'session', 'token', 'open']).describe('How the caller showed who it is.'),
});

export function systemRoutes(deps: SystemDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/openapi.json',
      name: 'getDocument',
      tag: 'system',
      summary: 'This interface as an OpenAPI 3.1 document',
      access: ANYBODY,
      answers: [
        { status: 200, description: 'The document.', schema: z.looseObject({ openapi: z.string() }) },
      ],
      handle: async () => deps.document(),
    }),
    route({
      method: 'GET',
      path: '/health',
      name: 'getHealth',
      tag: 'system',
      summary: 'Whether the server can answer',
      access: ANYBODY,
      answers: [
        { status: 200, description: 'It can.', schema: healthSchema },
        { status: 503, description: 'Something is away.', schema: healthSchema },
      ],
      handle: async () => {
        const away = await deps.ready();
        return new Reply(away.length === 0 ? 200 : 503, {
          ready: away.length === 0,
          version: deps.version,
          away,
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/session',
      name: 'getSession',
      tag: 'session',
      summary: 'Who is calling, and with which role',
      access: WITH_KEY,
      answers: [{ status: 200, description: 'The caller.', schema: callerSchema }],
      handle: async ({ caller }) => caller,
    }),
    ...sessionChanges(deps),
  ];
}

const healthSchema = z.object({
  ready: z.boolean(),
  version: z.string(),
  away: z.array(z.string()).describe('A sentence for each thing that is away.'),
});

function sessionChanges({ keys, secureCookies, now }: SystemDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/session',
      name: 'logIn',
      tag: 'session',
      summary: 'Log the console in with a key',
      description:
        'Answers with a cookie (HttpOnly, SameSite=Strict) that counts for twelve hours, and no longer than the key. The event streams of a browser send no header of their own, so they need it.',
      access: ANYBODY,
      body: { json: z.strictObject({ key: z.string().min(1).max(200) }) },
      answers: [{ status: 200, description: 'Logged in.', schema: callerSchema }],
      problems: { 401: 'The key does not count.', 409: 'The server is open: there is nothing to log in to.' },
      handle: async ({ body, headers }) => {
        if (keys === null) throw new Problem(409, 'open', 'This server needs no key.');
        if (headers['sec-fetch-site'] === 'cross-site')
          throw new Problem(403, 'cross_site', 'A page of another origin may not log in here.');
        const key = keys.verify(body.key);
        if (key === null) throw new Problem(401, 'no_key', 'This key does not count.');
        return new Reply(
          200,
          { name: key.name, role: key.role, by: 'session' },
          { 'set-cookie': cookieOf(sessionOf(key, now()), secureCookies) },
        );
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/session',
      name: 'logOut',
      tag: 'session',
      summary: 'Log the console out',
      access: ANYBODY,
      answers: [{ status: 204, description: 'The cookie is gone.', schema: null }],
      handle: async () => new Reply(204, null, { 'set-cookie': cookieOf(null, secureCookies) }),
    }),
  ];
}
