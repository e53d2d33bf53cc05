import type { Receiver } from '../schemas/alert.ts';
import type { Connections, RedisConnection, TlsFiles } from '../schemas/project.ts';
import { hideSecrets, knowSecrets, secretsOfUrl } from '../schemas/redaction.ts';
import { type ConnectionsDeclaration, connectionsSchema, DEFAULTS } from './connections-declaration.ts';
import type { ConfigDocument, Path } from './document.ts';
import { problemsOf } from './issues.ts';
import { listOf } from './lists.ts';
import { placeOf, type Reporter } from './reporter.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
type Section = keyof Connections;
const SECTIONS = ['kafka', 'redis', 'registry', 'clickhouse'] as const satisfies readonly Section[];
type Masked = (typeof SECTIONS)[number];

const REFERENCE = /\$\{(env|file):([^}]*?)(?::-([^}]*))?\}/g;
/** A secret may be absent (`:-`), but no default of it stands in a file. */
const ONE_ENV = /^\$\{env:[A-Za-z_][A-Za-z0-9_]*(?::-)?\}$/;

const PASSWORD = /:\/\/[^/@\s]*:[^/@\s]+@/;
/** With a slash, which such an address may not have, or as a parameter. */
const PASSWORD_IN_URL = /:\/\/[^/@\s]*:[^@\s]+@|[?&][^=&]*(?:token|key|secret|passw)[^=&]*=[^&]/i;

const SECRETS: readonly unknown[] = ['password', 'secret', 'token'];
const isSecret = (path: Path) => SECRETS.includes(path.at(-1));
const isPrivateKey = (path: Path) => path.at(-2) === 'tls' && path.at(-1) === 'key';

/** What of a text at a place is secret. The whole address of a webhook may be: many carry a token in their path. */
function secretsAt(path: Path, text: string): string[] {
  if (isSecret(path) || isPrivateKey(path)) return [text];
  const name = path.at(-1);
  if (name === 'url' || name === 'alertmanager') return secretsOfUrl(text);
  return name === 'webhook' || name === 'chat' ? secretsOfUrl(text, { path: true }) : [];
}

/** Known to the process from here on, and not shown by JSON or `console.log`. */
function guarded(connections: Connections): Connections {
  const { kafka, receivers, ...others } = connections;
  const see = (value: unknown, path: Path): void => {
    if (typeof value === 'string') knowSecrets(secretsAt(path, value));
    else if (typeof value === 'object' && value !== null) {
      for (const [key, one] of Object.entries(value)) see(one, [...path, key]);
      if (!Array.isArray(value)) hideSecrets(value);
    }
  };
  for (const [name, { kind, url, ...more }] of Object.entries(receivers))
    see({ [kind]: url, ...more }, ['receivers', name]);
  for (const receiver of Object.values(receivers)) hideSecrets(receiver);
  see(others, []);
  see(kafka, ['kafka']);
  return hideSecrets(connections);
}

/** Replaces references in every text under `value`; secrets written out are refused. */
function substitute(
  value: unknown,
  path: Path,
  document: ConfigDocument,
  environment: Environment,
  readFile: (path: string) => string | null,
  reporter: Reporter,
): unknown {
  if (Array.isArray(value))
    return value.map((one, index) =>
      substitute(one, [...path, index], document, environment, readFile, reporter),
    );
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        key,
        substitute(one, [...path, key], document, environment, readFile, reporter),
      ]),
    );
  const place = placeOf(document, path);
  const name = String(path.at(-1));
  if (isSecret(path) && value !== null && !(typeof value === 'string' && ONE_ENV.test(value))) {
    reporter.report(
      place,
      `The secret '${name}' is written out in the file.`,
      `Put it into the environment and write '\${env:${path.slice(0, 1).join('').toUpperCase()}_${name.toUpperCase()}}'.`,
    );
    return '';
  }
  if (typeof value !== 'string') return value;
  const written = value.replace(REFERENCE, '');
  if (PASSWORD.test(written) || (name === 'url' && PASSWORD_IN_URL.test(written))) {
    reporter.report(
      place,
      `The '${name}' holds a password that is written out.`,
      `Put the whole URL into the environment and write '\${env:NAME}'.`,
    );
    return '';
  }
  if (isPrivateKey(path) && !value.startsWith('${')) {
    reporter.report(
      place,
      'The private key is written out in the file.',
      `Write '\${file:PATH}' or '\${env:NAME}'.`,
    );
    return '';
  }
  // What is left once each reference is its default.
  if (value.replace(REFERENCE, (_, __, ___, fallback = '') => fallback).includes('${')) {
    reporter.report(
      place,
      `The '${name}' holds a '\${' that begins no reference.`,
      `Write '\${env:NAME}', '\${env:NAME:-default}' or '\${file:PATH}'.`,
    );
    return '';
  }
  const replaced = value.replace(REFERENCE, (_, kind: string, what: string, fallback: string | undefined) => {
    const found = kind === 'env' ? environment[what] || fallback : (readFile(what) ?? fallback);
    if (found !== undefined) return found;
    if (kind === 'env')
      reporter.report(
        place,
        `The environment variable ${what} is not set.`,
        `Set it, or write a default: \${env:${what}:-…}.`,
      );
    else
      reporter.report(
        place,
        `The file '${what}' cannot be read.`,
        'Give the path of a file that this process may read: absolute, or from the directory of the project.',
      );
    return '';
  });
  if (path[1] === 'brokers' && replaced.includes('@')) {
    reporter.report(
      place,
      "A broker of Kafka is 'host:port', without a user or a password.",
      "Write them under 'sasl': mechanism, username, password.",
    );
    return '';
  }
  // Before anything is said of it: what is wrong with it may be told with the text itself.
  knowSecrets(secretsAt(path, replaced));
  if (replaced !== value && name === 'tls' && (replaced === 'true' || replaced === 'false'))
    return replaced === 'true';
  return replaced;
}

const optional = <K extends string>(key: K, value: string | undefined) =>
  value === undefined || value === '' ? {} : { [key]: value };

function tlsOf(tls: ConnectionsDeclaration['redis']['tls']): boolean | (TlsFiles & { servername?: string }) {
  if (typeof tls !== 'object') return tls === true;
  return {
    ...optional('ca', tls.ca),
    ...optional('cert', tls.cert),
    ...optional('key', tls.key),
    ...optional('servername', tls.servername),
  };
}

function redisOf(declared: ConnectionsDeclaration['redis']): RedisConnection {
  const { url, username, password, tls, sentinel } = declared;
  return {
    url,
    ...optional('username', username),
    ...optional('password', password),
    ...(tls === undefined ? {} : { tls: tlsOf(tls) }),
    ...(sentinel === undefined
      ? {}
      : {
          sentinel: {
            primary: sentinel.primary,
            ...optional('username', sentinel.username),
            ...optional('password', sentinel.password),
          },
        }),
  };
}

function finish(declared: Partial<ConnectionsDeclaration>): Partial<Connections> {
  const { kafka, redis, registry, clickhouse, queue, receivers = {}, mlflow } = declared;
  return {
    ...(kafka === undefined
      ? {}
      : {
          kafka: {
            brokers: listOf(kafka.brokers)
              .flatMap((one) => one.split(','))
              .map((one) => one.trim())
              .filter((one) => one !== ''),
            tls: tlsOf(kafka.tls),
            sasl: kafka.sasl ?? null,
          },
        }),
    ...(redis === undefined ? {} : { redis: redisOf(redis) }),
    ...(registry === undefined
      ? {}
      : {
          registry: {
            url: registry.url,
            ...optional('username', registry.username),
            ...optional('password', registry.password),
          },
        }),
    ...(clickhouse === undefined
      ? {}
      : {
          clickhouse: {
            url: clickhouse.url,
            database: clickhouse.database,
            ...optional('username', clickhouse.username),
            ...optional('password', clickhouse.password),
          },
        }),
    ...(queue === undefined ? {} : { queue: redisOf(queue) }),
    receivers: Object.fromEntries(
      Object.entries(receivers).map(([name, one]): [string, Receiver] => [
        name,
        'webhook' in one
          ? {
              kind: 'webhook',
              url: one.webhook,
              secret: one.secret || null,
              ...(one.cloudevents === true ? { cloudEvents: true } : {}),
            }
          : 'chat' in one
            ? { kind: 'chat', url: one.chat }
            : { kind: 'alertmanager', url: one.alertmanager },
      ]),
    ),
    allowPrivate: declared.allow_private ?? [],
    mlflow:
      mlflow === undefined || mlflow.url === ''
        ? null
        : { url: mlflow.url, ...optional('token', mlflow.token) },
  };
}

const isBlock = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The file's sections, with what they do not say: it need only hold what differs from the defaults. */
function withDefaults(value: unknown): Record<string, unknown> {
  const given: Record<string, unknown> = isBlock(value) ? { ...value } : {};
  for (const [section, defaults] of Object.entries(DEFAULTS)) {
    const own = given[section] ?? {};
    if (isBlock(own)) given[section] = { ...defaults, ...own };
  }
  return given;
}

/** Connections of a project; null where something is wrong, which is then reported. A section in `overrides` is taken whole. */
export function compileConnections(
  document: ConfigDocument,
  environment: Environment,
  overrides: Partial<Connections>,
  readFile: (path: string) => string | null,
  reporter: Reporter,
): Connections | null {
  const before = reporter.problems.length;
  const given = withDefaults(document.value);
  const mask: Partial<Record<Masked, true>> = {};
  for (const section of SECTIONS)
    if (overrides[section] !== undefined) {
      delete given[section];
      mask[section] = true;
    }
  const value = substitute(given, [], document, environment, readFile, reporter);
  const parsed = connectionsSchema.partial(mask as { kafka?: true }).safeParse(value);
  if (!parsed.success) {
    // A place that was reported as a missing reference is empty now: one sentence is enough.
    const reported = reporter.problems.slice(before);
    for (const problem of problemsOf(document, connectionsSchema, parsed.error))
      if (!reported.some((one) => one.line === problem.line && one.column === problem.column))
        reporter.add(problem);
    return null;
  }
  if (reporter.problems.length > before) return null;
  const finished = { ...finish(parsed.data as Partial<ConnectionsDeclaration>), ...overrides } as Connections;
  return guarded({ ...finished, queue: finished.queue ?? finished.redis });
}
