import { createHash } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { MillraceError } from '../../schemas/refusal.ts';
import { isRole, type Role } from '../roles.ts';
import type { Caller } from '../route.ts';

export interface OidcOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Dotted path of the claim that holds roles: `roles`, `realm_access.roles`. */
  readonly roleClaim: string;
}

/** The issuer's keys cannot be had. */
export class IssuerAway extends MillraceError {
  readonly code = 'issuer_away';
  readonly retriable = true;
}

/** Asymmetric ones alone: with a shared secret, whoever can check a token could make one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** A token that was checked is not checked again for so long, ms; never past its end. */
const REMEMBER_MS = 30_000;
const MOST_REMEMBERED = 1_000;
const DISCOVERY_TIMEOUT_MS = 5_000;

/** The strongest role wins where a token names several. */
const BY_STRENGTH: readonly Role[] = ['admin', 'operator', 'viewer', 'producer'];

/** Null: the token does not count. `'no role'`: it does, and gives no role here. Throws IssuerAway. */
export type TokenVerifier = (token: string) => Promise<Caller | 'no role' | null>;

/** `keySet` is the issuer's where left out, found by OpenID Connect discovery. */
export function createTokenVerifier(options: OidcOptions, keySet?: JWTVerifyGetKey): TokenVerifier {
  const known = new Map<string, { readonly caller: Caller | 'no role'; readonly until: number }>();
  let keys: Promise<JWTVerifyGetKey> | null = keySet === undefined ? null : Promise.resolve(keySet);

  async function keysOfIssuer(): Promise<JWTVerifyGetKey> {
    keys ??= discover(options.issuer);
    try {
      return await keys;
    } catch (error) {
      keys = null;
      throw error;
    }
  }

  return async function verify(token) {
    const hash = createHash('sha256').update(token).digest('base64');
    const before = known.get(hash);
    if (before !== undefined && before.until > Date.now()) return before.caller;
    const getKey = await keysOfIssuer();
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, getKey, {
        issuer: options.issuer,
        audience: options.audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'sub'],
      }));
    } catch (error) {
      if (isAway(error))
        throw new IssuerAway(`The keys of the issuer ${options.issuer} cannot be read.`, { cause: error });
      return null;
    }
    const role = roleOf(payload, options.roleClaim);
    const caller =
      role === null ? ('no role' as const) : { name: nameOf(payload), role, by: 'token' as const };
    if (known.size >= MOST_REMEMBERED) known.clear();
    known.set(hash, { caller, until: Math.min(Date.now() + REMEMBER_MS, (payload.exp ?? 0) * 1_000) });
    return caller;
  };
}

/** jose's own errors are about the token, but for those about fetching keys. */
const isAway = (error: unknown) =>
  !(error instanceof errors.JOSEError) ||
  error instanceof errors.JWKSTimeout ||
  error.code === 'ERR_JOSE_GENERIC';

async function discover(issuer: string): Promise<JWTVerifyGetKey> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(DISCOVERY_TIMEOUT_MS), redirect: 'error' });
    const { jwks_uri: address, issuer: says } = (await answer.json()) as Record<string, unknown>;
    if (says !== issuer || typeof address !== 'string') throw new Error('it speaks for another issuer');
    return createRemoteJWKSet(new URL(address), { timeoutDuration: DISCOVERY_TIMEOUT_MS });
  } catch (cause) {
    throw new IssuerAway(`${url} cannot be read: is the issuer right, and is it there?`, { cause });
  }
}

const nameOf = ({ preferred_username: name, sub }: JWTPayload) =>
  typeof name === 'string' && name !== '' ? name : String(sub);

function roleOf(payload: JWTPayload, claim: string): Role | null {
  let value: unknown = payload;
  for (const part of claim.split('.'))
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, part)
        ? (value as Record<string, unknown>)[part]
        : undefined;
  const names = (Array.isArray(value) ? value : [value])
    .filter((one) => typeof one === 'string')
    .flatMap((one) => one.split(' '))
    .filter(isRole);
  return BY_STRENGTH.find((role) => names.includes(role)) ?? null;
}
