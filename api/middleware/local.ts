import type { IncomingHttpHeaders } from 'node:http';

/** Addresses that nothing outside this machine reaches. */
export const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);

const hostOf = (header: string | undefined): string | null => {
  try {
    return header === undefined || /[\s/@?#]/.test(header) ? null : new URL(`http://${header}`).hostname;
  } catch {
    return null;
  }
};

/**
 * Without a key, what tells our own programs from a web page that somebody opens is what its browser says: a page is of another
 * origin, and a name that was made to point at this machine (DNS rebinding) stands in Host. Null: let it pass.
 */
export function refuseStrangers(headers: IncomingHttpHeaders): 'bad_host' | 'cross_site' | null {
  const host = hostOf(headers.host);
  if (host === null || !isLoopback(host)) return 'bad_host';
  return crossSite(headers) ? 'cross_site' : null;
}

/** Whether a browser sends it for a page of another origin. What is no browser sends neither header. */
export function crossSite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  const { origin } = headers;
  if (origin === undefined) return false;
  try {
    return new URL(origin).host !== headers.host;
  } catch {
    return true;
  }
}
