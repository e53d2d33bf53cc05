/**
 * The secrets that this process knows, and the one function that takes them out of whatever it says: log lines, errors, what
 * commands print, `/health`. Whoever reads a secret (the loader of connections) tells it here first. One list for the process:
 * a logger that begins before the project is loaded knows it too.
 */

const REDACTED = '***';

/** Below this a text is too common to be taken out everywhere; a password in an address is, whatever its length. */
const SHORTEST = 4;

const known = new Set<string>();
let pattern: RegExp | null = null;

/** `//user:password@` of any address, whether its password is known or not. */
const IN_ADDRESS = /(\/\/)[^\s/@"']{0,256}:[^\s/"']{0,512}@(?=[^\s@"'])/g;
/** Shorter ones are taken out as whole words alone: the password `test` must not cut up `latest`. */
const WHOLE_WORD_BELOW = 12;

/** Remembers texts that must not be said, with the forms in which they may turn up. */
export function knowSecrets(secrets: Iterable<string>): void {
  for (const secret of secrets)
    for (const form of formsOf(secret)) if (form.length >= SHORTEST) known.add(form);
  // The longer first: one may be a part of another.
  const all = [...known].sort((a, b) => b.length - a.length).map(escaped);
  pattern = all.length === 0 ? null : new RegExp(all.join('|'), 'g');
}

/** The text without the secrets that are known. */
export function redact(text: string): string {
  const without = pattern === null ? text : text.replace(pattern, REDACTED);
  return without.includes('@') ? without.replace(IN_ADDRESS, `$1${REDACTED}@`) : without;
}

/** Forgets all of them; for tests. */
export function forgetSecrets(): void {
  known.clear();
  pattern = null;
}

/** As it is, in an address, in JSON (twice where a log line holds JSON), and as authorization headers carry it. */
function formsOf(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const lines = secret.includes('-----BEGIN')
    ? secret.split(/\r?\n/).filter((line) => !line.startsWith('-----'))
    : [];
  return [
    secret,
    encodeURIComponent(secret),
    encodeURI(secret),
    json,
    JSON.stringify(json).slice(1, -1),
    Buffer.from(secret).toString('base64'),
    // A private key is as secret line by line.
    ...lines.filter((line) => line.length > 16),
  ];
}

function escaped(text: string): string {
  const plain = text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  return text.length < WHOLE_WORD_BELOW ? `(?<![A-Za-z0-9])${plain}(?![A-Za-z0-9])` : plain;
}

/** What of an address is secret: its user and password, what its parameters say, and the parts of its path that are no words. */
export function secretsOfUrl(text: string, options: { readonly path: boolean } = { path: false }): string[] {
  // Several hosts, as an address of Redis may have, are no URL: the first alone is.
  const url = URL.parse(text) ?? URL.parse(text.replace(/,[^,@/?#]+(?=[/?#,]|$)/g, ''));
  if (url === null) {
    // Nobody can tell what is secret in it.
    return /[@?]|secret|token/i.test(text) || options.path ? [text] : [];
  }
  const user = decoded(url.username);
  const password = decoded(url.password);
  const parameters = [...url.searchParams]
    .filter(([name]) => options.path || /token|key|secret|password|passwd|sig|auth|credential/i.test(name))
    .map(([, value]) => value);
  const parts = options.path ? url.pathname.split('/').map(decoded).filter(isRandom) : [];
  return [
    password,
    `${user}:${password}`,
    ...(isCommon(user) ? [] : [user]),
    ...parameters,
    ...parts,
    ...(parts.length === 0 ? [] : [`${url.pathname}${url.search}`]),
  ].filter((one) => one !== '' && one !== ':');
}

/** Names of users that many servers have; the user of an address may else be the key of an API. */
const COMMON = new Set([
  'default',
  'admin',
  'root',
  'user',
  'guest',
  'elastic',
  'postgres',
  'millrace',
  'kafka',
  'redis',
]);
const isCommon = (user: string) => user.length < 3 || COMMON.has(user.toLowerCase());

/** A part of a path that looks made by a machine, and not by somebody who names things. */
const isRandom = (part: string) =>
  part.length >= 20 || (part.length >= 8 && /\d/.test(part) && /[A-Za-z]/.test(part));

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * An object that shows itself without secrets: JSON and `console.log` give a copy with every known one taken out. Its fields
 * stay what they are for whoever uses them. An object that does so already is left alone: a definition of before is loaded with
 * the connections of the project, which are frozen.
 */
export function hideSecrets<T extends object>(value: T): T {
  if (Object.hasOwn(value, 'toJSON')) return value;
  const shown = () => mapTexts(value);
  Object.defineProperty(value, 'toJSON', { value: shown, enumerable: false, configurable: true });
  Object.defineProperty(value, Symbol.for('nodejs.util.inspect.custom'), {
    value: shown,
    enumerable: false,
    configurable: true,
  });
  return value;
}

function mapTexts(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map(mapTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapTexts(one)]));
}
