import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import type { LookupFunction } from 'node:net';
import { LONGEST_TIMER } from '../../schemas/time.ts';
import type { Address, AddressGuard } from './guard.ts';

export interface PostOptions {
  readonly guard: AddressGuard;
  readonly url: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** From the look-up to the last byte of the answer, ms. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** What `Retry-After` asks for, ms; null where it says nothing. */
  readonly retryAfterMs: number | null;
  /** The beginning of the body, for a person. */
  readonly excerpt: string;
}

const MAX_ANSWER_BYTES = 64 * 1024;
const EXCERPT_CHARACTERS = 300;

/**
 * One POST of JSON on a connection of its own, to an address that the guard has seen. Redirects are not followed: they
 * are answers like any other. Throws RefusedAddress, an AbortError or TimeoutError, or the error of the connection.
 */
export async function post(options: PostOptions): Promise<Answer> {
  const signal = AbortSignal.any([
    options.signal,
    AbortSignal.timeout(Math.min(options.timeoutMs, LONGEST_TIMER)),
  ]);
  const { url, addresses } = await within(options.guard(options.url), signal);
  signal.throwIfAborted();
  const bytes = Buffer.from(options.body);
  const auth =
    url.username === ''
      ? {}
      : { auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` };
  return new Promise((done, fail) => {
    const open = url.protocol === 'https:' ? secure : plain;
    const request = open(
      {
        ...auth,
        protocol: url.protocol,
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port,
        path: `${url.pathname}${url.search}`,
        method: 'POST',
        headers: { 'content-type': 'application/json', ...options.headers, 'content-length': bytes.length },
        lookup: fixed(addresses),
        agent: false,
        signal,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        const finish = () =>
          done({
            status: response.statusCode ?? 0,
            retryAfterMs: retryAfter(response.headers['retry-after']),
            excerpt: Buffer.concat(chunks)
              .toString('utf8')
              .replace(/\s+/g, ' ')
              .trim()
              .slice(0, EXCERPT_CHARACTERS),
          });
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= MAX_ANSWER_BYTES) {
            chunks.push(chunk);
            return;
          }
          // The status is what counts; nobody reads on.
          finish();
          response.destroy();
        });
        response.on('end', finish);
        response.on('error', fail);
      },
    );
    request.on('error', (error) => fail(signal.aborted ? signal.reason : error));
    request.end(bytes);
  });
}

/** In the place of the system's resolver: what was looked at is what is connected to. */
function fixed(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses;
    if (first === undefined) return callback(new Error('no address'), '', 4);
    if (options.all === true) return callback(null, [...addresses]);
    callback(null, first.address, first.family);
  };
}

function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((done, fail) => {
    const onAbort = () => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(done, fail).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Seconds; a date would need the two clocks to agree. */
function retryAfter(value: string | undefined): number | null {
  const seconds = Number(value ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null;
}
