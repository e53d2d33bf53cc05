import type { IncomingHttpHeaders } from 'node:http';
import { Problem } from '../problem.ts';
import type { Caller } from '../route.ts';
import type { KeyFile, StoredKey } from './keys.ts';
import { crossSite, refuseStrangers } from './local.ts';
import { readCookie, verifySession } from './sessions.ts';
import type { TokenVerifier } from './tokens.ts';

export interface Gatekeeper {
  /** Null: open, which only a loopback address may be. */
  readonly keys: KeyFile | null;
  readonly tokens: TokenVerifier | null;
  readonly now: () => number;
}

const LOCAL: Caller = { name: 'local', role: 'admin', by: 'open' };

const callerOf = ({ name, role }: StoredKey, by: Caller['by']): Caller => ({ name, role, by });

/** Who sends a request; null: nobody that is known. Throws Problem where it comes from another site's page. */
export function createAuthenticator({ keys, tokens, now }: Gatekeeper) {
  return async function authenticate(headers: IncomingHttpHeaders): Promise<Caller | null> {
    if (keys === null) {
      const strange = refuseStrangers(headers);
      if (strange === 'bad_host')
        throw new Problem(
          421,
          'bad_host',
          'Without keys this server answers only to names of this machine (localhost, 127.0.0.1): make a key (millrace keys create) and start it again.',
        );
      if (strange === 'cross_site') throw crossSiteProblem();
      return LOCAL;
    }
    const { authorization } = headers;
    if (authorization !== undefined) return byToken(keys, tokens, authorization);
    const session = readCookie(headers.cookie);
    if (session === null) return null;
    const key = verifySession(keys, session, now());
    if (key === null) return null;
    if (crossSite(headers)) throw crossSiteProblem();
    return callerOf(key, 'session');
  };
}

async function byToken(
  keys: KeyFile,
  tokens: TokenVerifier | null,
  authorization: string,
): Promise<Caller | null> {
  const token = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) return null;
  const key = keys.verify(token);
  if (key !== null) return callerOf(key, 'key');
  if (tokens === null || token.split('.').length !== 3) return null;
  const caller = await tokens(token);
  if (caller === 'no role')
    throw new Problem(403, 'no_role', 'This token counts, but names no role of Millrace.');
  return caller;
}

const crossSiteProblem = () =>
  new Problem(403, 'cross_site', 'A page of another origin may not call this server.');
