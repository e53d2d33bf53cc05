import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyFile, StoredKey } from './keys.ts';

/** The browser's cookie. A page of another site never sends it (SameSite), and no script reads it (HttpOnly). */
export const COOKIE = 'millrace_session';

const LASTS_MS = 12 * 3_600_000;

/** Purpose of the signature, so that it can be taken for no other. */
const sign = (key: StoredKey, text: string) =>
  createHmac('sha256', key.hash).update(`millrace session ${text}`).digest('base64url');

/**
 * A session is the id of a key and an end, signed with the key's stored hash. Nothing is kept on the server: it counts in every process
 * that reads the same file of keys, and ends with its key.
 */
export function sessionOf(key: StoredKey, now: number): string {
  const end = Math.min(now + LASTS_MS, key.expiresAt ?? Number.POSITIVE_INFINITY);
  const text = `${key.id}.${end}`;
  return `${text}.${sign(key, text)}`;
}

export function verifySession(keys: Pick<KeyFile, 'valid'>, value: string, now: number): StoredKey | null {
  const [id, end, signature, more] = value.split('.');
  if (id === undefined || end === undefined || signature === undefined || more !== undefined) return null;
  const key = keys.valid(id);
  if (key === null || !(Number(end) > now)) return null;
  const [given, right] = [Buffer.from(signature), Buffer.from(sign(key, `${id}.${end}`))];
  return given.length === right.length && timingSafeEqual(given, right) ? key : null;
}

/** `value` null ends the session. `secure`: never over plain HTTP; on loopback there is no other. */
export function cookieOf(value: string | null, secure: boolean): string {
  const age = value === null ? 0 : LASTS_MS / 1_000;
  return `${COOKIE}=${value ?? ''}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${age}${secure ? '; Secure' : ''}`;
}

/** The session in a Cookie header, if there is one. */
export function readCookie(header: string | undefined): string | null {
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === COOKIE) return part.slice(at + 1).trim();
  }
  return null;
}
