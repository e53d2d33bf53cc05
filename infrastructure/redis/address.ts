import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { RedisConnection } from '../../schemas/project.ts';
import { StoreError } from './errors.ts';

export interface Host {
  readonly host: string;
  readonly port: number;
}

/** What connections.yaml says of a Redis, read. */
export interface RedisAddress {
  /** One server, nodes of a cluster, or Sentinels. At least one. */
  readonly hosts: readonly [Host, ...Host[]];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly tls: TlsOptions | undefined;
  readonly sentinel: RedisConnection['sentinel'];
  /** `host:port`, several with commas; for messages. */
  readonly where: string;
}

const ADDRESS = /^(rediss?):\/\/(?:(.*)@)?([^@/?#]+)(?:\/(\d*))?$/;
const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26379;

/** Reads an address. Throws StoreError `bad_request`. */
export function addressOf(connection: RedisConnection): RedisAddress {
  const { url, sentinel } = connection;
  const match = ADDRESS.exec(url);
  if (match === null) throw noAddress();
  const [, scheme, user, authority = '', database] = match;
  const [username, password] = credentialsOf(user ?? '');
  const hosts = authority
    .split(',')
    .map((one) => hostOf(one.trim(), sentinel ? SENTINEL_PORT : DEFAULT_PORT));
  return {
    hosts: hosts as [Host, ...Host[]],
    username: connection.username ?? username,
    password: connection.password ?? password,
    database: Number(database || 0),
    tls: tlsOf(connection.tls, scheme === 'rediss'),
    sentinel,
    where: hosts.map(nameOf).join(','),
  };
}

export const nameOf = ({ host, port }: Host) => `${host.includes(':') ? `[${host}]` : host}:${port}`;

function noAddress(): StoreError {
  return new StoreError(
    'bad_request',
    'The address of Redis is no URL; write redis://host:6379, or redis://a:6379,b:6379 for several hosts.',
  );
}

function credentialsOf(text: string): [string | undefined, string | undefined] {
  if (text === '') return [undefined, undefined];
  const colon = text.indexOf(':');
  const [user, password] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part) || undefined;
    } catch {
      return part;
    }
  };
  return [decode(user), decode(password)];
}

function hostOf(text: string, defaultPort: number): Host {
  const url = URL.parse(`redis://${text}`);
  if (url === null || url.hostname === '' || url.username !== '') throw noAddress();
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || defaultPort) };
}

function tlsOf(tls: RedisConnection['tls'], secure: boolean): TlsOptions | undefined {
  if (typeof tls === 'object') return { ...tls };
  return tls === true || secure ? {} : undefined;
}

/** How ioredis reaches one server, or the primary behind Sentinels. */
export function clientOptions(address: RedisAddress, host: Host = address.hosts[0]) {
  const { username, password, database, tls, sentinel } = address;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(database === 0 ? {} : { db: database }),
    ...(tls === undefined ? {} : { tls }),
    ...(sentinel === undefined ? { host: host.host, port: host.port } : sentinelOptions(address, sentinel)),
  };
}

function sentinelOptions(
  { hosts, tls }: RedisAddress,
  { primary, username, password }: NonNullable<RedisConnection['sentinel']>,
) {
  return {
    sentinels: hosts.map(({ host, port }) => ({ host, port })),
    name: primary,
    role: 'master' as const,
    // A primary that hangs is left as soon as the Sentinels name another.
    failoverDetector: true,
    // Behind one address they name one another by addresses that may not be reachable from here.
    updateSentinels: false,
    sentinelCommandTimeout: 2_000,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}
