import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../schemas/refusal.ts';
import { ROLES, type Role } from '../roles.ts';

/** A key as the file keeps it: of the key itself only its hash. */
export interface StoredKey {
  /** First part of the key, by which it is found; no secret. */
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the whole key, hex. A key is 256 random bits, so a slow hash would add nothing. */
  readonly hash: string;
  /** Wall time, epoch ms. */
  readonly createdAt: number;
  /** Null: it does not end. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

const fileSchema = z.strictObject({
  format: z.literal(1),
  keys: z.array(
    z.strictObject({
      id: z.string().regex(/^[0-9a-f]{12}$/),
      name: z.string().min(1),
      role: z.enum(ROLES),
      hash: z.string().regex(/^[0-9a-f]{64}$/),
      createdAt: z.number(),
      expiresAt: z.number().nullable(),
      revokedAt: z.number().nullable(),
    }),
  ),
});

export class BadKeyFile extends MillraceError {
  readonly code = 'bad_key_file';
  readonly retriable = false;
}

export interface KeyFile {
  all(): readonly StoredKey[];
  /** Answers the key: it is shown this once and kept nowhere. */
  create(options: { readonly name: string; readonly role: Role; readonly expiresAt: number | null }): {
    readonly key: string;
    readonly stored: StoredKey;
  };
  /** By id or name; answers those that it revoked. */
  revoke(which: string): readonly StoredKey[];
  /** The stored key that `text` is, if it counts now. */
  verify(text: string): StoredKey | null;
  /** A key by its id, if it counts now: for sessions. */
  valid(id: string): StoredKey | null;
}

const KEY = /^mr_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;
/** The file is looked at again after so long: a key that was revoked elsewhere counts no longer than this, ms. */
const LOOK_EVERY_MS = 1_000;

const hashOf = (key: string) => createHash('sha256').update(key).digest();

/** Keys in a file that its owner alone may read. */
export function openKeyFile(path: string, now: () => number = Date.now): KeyFile {
  let keys: readonly StoredKey[] = [];
  let byId: ReadonlyMap<string, StoredKey> = new Map();
  let lookedAt = Number.NEGATIVE_INFINITY;
  let seen = '';

  function learn(next: readonly StoredKey[]): void {
    keys = next;
    byId = new Map(next.map((key) => [key.id, key]));
  }

  function look(): void {
    if (now() - lookedAt < LOOK_EVERY_MS) return;
    lookedAt = now();
    const stamp = stampOf(path);
    if (stamp === seen) return;
    learn(stamp === '' ? [] : readKeys(path));
    seen = stamp;
  }

  function write(next: readonly StoredKey[]): void {
    mkdirSync(dirname(path), { recursive: true });
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, `${JSON.stringify({ format: 1, keys: next }, null, 2)}\n`, { mode: 0o600 });
    renameSync(draft, path);
    learn(next);
    seen = stampOf(path);
  }

  /** What a change begins from: the file as it is now, whoever wrote it. */
  function fresh(): readonly StoredKey[] {
    lookedAt = Number.NEGATIVE_INFINITY;
    look();
    return keys;
  }

  const counts = (key: StoredKey) =>
    key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now());

  return {
    all: fresh,
    create({ name, role, expiresAt }) {
      const known = fresh();
      const id = randomBytes(6).toString('hex');
      const key = `mr_${id}_${randomBytes(32).toString('base64url')}`;
      const stored = {
        id,
        name,
        role,
        hash: hashOf(key).toString('hex'),
        createdAt: now(),
        expiresAt,
        revokedAt: null,
      };
      write([...known, stored]);
      return { key, stored };
    },
    revoke(which) {
      const known = fresh();
      const gone = known.filter(
        ({ id, name, revokedAt }) => revokedAt === null && (id === which || name === which),
      );
      if (gone.length > 0)
        write(known.map((key) => (gone.includes(key) ? { ...key, revokedAt: now() } : key)));
      return gone;
    },
    verify(text) {
      const id = KEY.exec(text)?.[1];
      if (id === undefined) return null;
      look();
      const key = byId.get(id);
      if (key === undefined || !timingSafeEqual(hashOf(text), Buffer.from(key.hash, 'hex'))) return null;
      return counts(key) ? key : null;
    },
    valid(id) {
      look();
      const key = byId.get(id);
      return key !== undefined && counts(key) ? key : null;
    },
  };
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return '';
  }
}

function readKeys(path: string): readonly StoredKey[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new BadKeyFile(`The keys in ${path} cannot be read: ${(cause as Error).message}.`, { cause });
  }
  try {
    return fileSchema.parse(JSON.parse(text)).keys;
  } catch (cause) {
    throw new BadKeyFile(
      `${path} is no file of keys that this version reads: put it back as millrace keys wrote it, or remove it and make new keys.`,
      { cause },
    );
  }
}
