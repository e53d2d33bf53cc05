import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKeyFile } from '../../api/middleware/keys.ts';
import { COOKIE, readCookie, sessionOf, verifySession } from '../../api/middleware/sessions.ts';
import { createTokenVerifier } from '../../api/middleware/tokens.ts';

const DAY = 86_400_000;

function file(now = () => 1_000_000) {
  const path = join(mkdtempSync(join(tmpdir(), 'millrace-keys-')), 'deep', 'keys.json');
  return { path, keys: openKeyFile(path, now) };
}

describe('a file of keys', () => {
  it('knows a key it made, by its hash alone', () => {
    const { path, keys } = file();
    const { key, stored } = keys.create({ name: 'shop', role: 'producer', expiresAt: null });
    expect(key).toMatch(/^mr_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
    expect(keys.verify(key)).toEqual(stored);
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain(key.split('_').slice(2).join('_'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const wrong of [
      '',
      'mr_',
      key.slice(0, -1),
      `${key}x`,
      key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      key.toUpperCase(),
    ])
      expect(keys.verify(wrong)).toBeNull();
  });

  it('makes another key each time', () => {
    const { keys } = file();
    const made = Array.from(
      { length: 20 },
      () => keys.create({ name: 'a', role: 'viewer', expiresAt: null }).key,
    );
    expect(new Set(made).size).toBe(20);
    expect(made.every((key) => keys.verify(key) !== null)).toBe(true);
  });

  it('lets no key count after its end, or once it is revoked', () => {
    let now = 0;
    const { keys } = file(() => now);
    const short = keys.create({ name: 'short', role: 'viewer', expiresAt: DAY });
    const long = keys.create({ name: 'long', role: 'viewer', expiresAt: null });
    now = DAY - 1;
    expect(keys.verify(short.key)).not.toBeNull();
    now = DAY;
    expect(keys.verify(short.key)).toBeNull();
    expect(keys.revoke('long').map(({ name }) => name)).toEqual(['long']);
    expect(keys.verify(long.key)).toBeNull();
    expect(keys.revoke('long')).toEqual([]);
  });

  it('hears within a second of what another process changed', () => {
    let now = 0;
    const { path, keys } = file(() => now);
    const { key } = keys.create({ name: 'shop', role: 'producer', expiresAt: null });
    expect(keys.verify(key)).not.toBeNull();
    const other = openKeyFile(path, () => now);
    other.revoke('shop');
    const { key: another } = other.create({ name: 'more', role: 'viewer', expiresAt: null });
    now = 1_001;
    expect([keys.verify(key), keys.verify(another)?.name]).toEqual([null, 'more']);
  });

  it('does not go on with a file that it cannot read', () => {
    const { path, keys } = file();
    keys.create({ name: 'a', role: 'viewer', expiresAt: null });
    for (const text of ['', '{', '{"format":2,"keys":[]}', '{"format":1,"keys":[{"id":"x"}]}']) {
      writeFileSync(path, text);
      expect(() => openKeyFile(path).all()).toThrow(/no file of keys/);
    }
  });
});

describe('a session', () => {
  it('counts for its time, for its key, and for nobody else', () => {
    let now = 0;
    const { keys } = file(() => now);
    const { stored } = keys.create({ name: 'mara', role: 'operator', expiresAt: null });
    const session = sessionOf(stored, now);
    expect(verifySession(keys, session, now)?.name).toBe('mara');
    const [id, end, signature] = session.split('.');
    for (const forged of [
      `${id}.${Number(end) + 1}.${signature}`,
      `${id}.${end}.${signature?.slice(1)}`,
      `${id}.${end}`,
      `${id}.${end}.${signature}.`,
      '',
    ])
      expect(verifySession(keys, forged, now)).toBeNull();
    now = Number(end);
    expect(verifySession(keys, session, now)).toBeNull();
  });

  it('ends with its key', () => {
    const { keys } = file();
    const { stored } = keys.create({ name: 'mara', role: 'operator', expiresAt: 1_000_500 });
    const session = sessionOf(stored, 1_000_000);
    expect(session.split('.')[1]).toBe('1000500');
    keys.revoke('mara');
    expect(verifySession(keys, session, 1_000_001)).toBeNull();
  });

  it('is found among other cookies', () => {
    expect(readCookie(`a=b; ${COOKIE}=x.y.z; c=d`)).toBe('x.y.z');
    expect(readCookie(`a${COOKIE}=x`)).toBeNull();
    expect(readCookie(undefined)).toBeNull();
  });
});

describe('tokens of an issuer', () => {
  let server: Server;
  let issuer: string;
  let sign: (
    claims: Record<string, unknown>,
    options?: { audience?: string; issuer?: string; end?: string },
  ) => Promise<string>;

  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' };
    server = createHttpServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify(request.url === '/keys' ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/keys` }),
      );
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    sign = (claims, options = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setSubject('u1')
        .setIssuer(options.issuer ?? issuer)
        .setAudience(options.audience ?? 'millrace')
        .setExpirationTime(options.end ?? '5m')
        .sign(privateKey);
  });
  afterAll(() => void server.close());

  const verifier = (roleClaim = 'roles') => createTokenVerifier({ issuer, audience: 'millrace', roleClaim });

  it('give the strongest role that their claim names', async () => {
    const verify = verifier();
    expect(
      await verify(await sign({ roles: ['viewer', 'operator', 'baker'], preferred_username: 'mara' })),
    ).toEqual({
      name: 'mara',
      role: 'operator',
      by: 'token',
    });
    expect(await verify(await sign({ roles: 'viewer' }))).toMatchObject({ name: 'u1', role: 'viewer' });
    expect(await verify(await sign({ roles: ['baker'] }))).toBe('no role');
    expect(await verify(await sign({}))).toBe('no role');
    expect(
      await verifier('realm_access.roles')(await sign({ realm_access: { roles: ['admin'] } })),
    ).toMatchObject({
      role: 'admin',
    });
  });

  it('count only from the issuer, for us, in time, and signed', async () => {
    const verify = verifier();
    const good = await sign({ roles: ['admin'] });
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`;
    const shared = await new SignJWT({ roles: ['admin'] })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('u')
      .setIssuer(issuer)
      .setAudience('millrace')
      .setExpirationTime('5m')
      .sign(Buffer.from('guessed secret of thirty-two bytes!!'));
    const wrong = [
      await sign({ roles: ['admin'] }, { audience: 'other' }),
      await sign({ roles: ['admin'] }, { issuer: 'https://evil.example' }),
      await sign({ roles: ['admin'] }, { end: '-1m' }),
      `${good.slice(0, -4)}AAAA`,
      unsigned,
      shared,
      'a.b.c',
    ];
    for (const token of wrong) expect(await verify(token)).toBeNull();
    expect(await verify(good)).toMatchObject({ role: 'admin' });
  });

  it('cannot be told while the issuer is away', async () => {
    const verify = createTokenVerifier({
      issuer: 'http://127.0.0.1:1',
      audience: 'millrace',
      roleClaim: 'roles',
    });
    await expect(verify(await sign({ roles: ['admin'] }))).rejects.toMatchObject({ code: 'issuer_away' });
  });
});
