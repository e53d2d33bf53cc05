import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { notPublic } from './address.ts';

export interface Address {
  readonly address: string;
  readonly family: number;
}

/** Where a request may go: the addresses that were looked at, and no others. */
export interface Allowed {
  readonly url: URL;
  readonly addresses: readonly Address[];
}

/** The URL is never asked, however often one tries. */
export class RefusedAddress extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusedAddress';
  }
}

export interface GuardOptions {
  /** `host:port` that may lie at any address, each entry one or several with commas. */
  readonly allowPrivate: readonly string[];
  /** All addresses of a name. Default: the system's. */
  readonly resolve?: (host: string) => Promise<readonly Address[]>;
}

/** Answers where a URL may be asked. Throws RefusedAddress, or what the resolver throws. */
export type AddressGuard = (url: string) => Promise<Allowed>;

const PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Keeps receivers from reaching into the network that Millrace runs in. A name is resolved once, every address of it
 * is looked at, and the request goes to one of these: a name that answers otherwise the second time gains nothing.
 * The URL parser has turned decimal, octal and hexadecimal hosts into plain addresses by then.
 */
export function createGuard({ allowPrivate, resolve = resolveAll }: GuardOptions): AddressGuard {
  const allowed = new Set(
    allowPrivate
      .flatMap((entry) => entry.split(','))
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map(normal),
  );
  return async (text) => {
    const url = parse(text);
    const port = url.port || (PORTS[url.protocol] ?? '');
    const host = bare(url.hostname);
    const family = isIP(host);
    const addresses = family === 0 ? await resolve(host) : [{ address: host, family }];
    if (addresses.length === 0) throw new RefusedAddress(`${host} has no address.`);
    const place = `${url.hostname}:${port}`;
    if (!allowed.has(place))
      for (const { address } of addresses) {
        const why = notPublic(address);
        if (why !== null)
          throw new RefusedAddress(
            `${url.host} is refused: ${address === host ? 'it' : address} is ${why}. If it is meant, add '${place}' to allow_private in connections.yaml.`,
          );
      }
    return { url, addresses };
  };
}

function parse(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new RefusedAddress('The address of the receiver is no URL: write https://host/path.');
  }
  if (!(url.protocol in PORTS))
    throw new RefusedAddress(`'${url.protocol}//' is refused: only http:// and https:// are asked.`);
  return url;
}

/** As the URL parser writes it, so that both sides of the comparison are written alike. */
function normal(entry: string): string {
  try {
    const { hostname, port } = new URL(`http://${entry}`);
    return `${hostname}:${port || '80'}`;
  } catch {
    return entry;
  }
}

const bare = (hostname: string) => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname);

const resolveAll = (host: string): Promise<readonly Address[]> => lookup(host, { all: true });
