import { ApiError, errorOfAnswer } from './api-error.ts';

export interface HttpClientOptions {
  /** Of the server: `http://127.0.0.1:8420`. */
  readonly url: string;
  /** A key (`millrace keys create`), or a token of the issuer. None where the server is open. */
  readonly key?: string | undefined;
  /** A call that takes longer ends with an ApiError, ms. Default 30 s. */
  readonly timeoutMs?: number;
}

/** Sends a request; throws ApiError for any answer but 2xx. */
export type Ask = (
  path: string,
  request: {
    readonly body?: string;
    readonly type?: string;
    readonly headers?: Record<string, string>;
    readonly signal?: AbortSignal;
  },
) => Promise<Response>;

/** Calls of one server. Throws TypeError where its address is none. */
export function createAsk({ url, key, timeoutMs = 30_000 }: HttpClientOptions): Ask {
  const base = addressOf(url);
  return async (path, { body, type, headers = {}, signal }) => {
    let answer: Response;
    try {
      answer = await fetch(new URL(path.slice(1), base), {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...headers,
          ...(type === undefined ? {} : { 'content-type': type }),
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        },
        ...(body === undefined ? {} : { body }),
        signal: signal ?? AbortSignal.timeout(timeoutMs),
        redirect: 'error', // A key is for this server alone.
      });
    } catch (cause) {
      const why = cause instanceof Error && cause.name === 'TimeoutError' ? `in ${timeoutMs} ms` : 'at all';
      throw new ApiError(`${base.origin} does not answer ${why}: does millrace api run there?`, {
        code: 'unreachable',
        retriable: true,
        cause,
      });
    }
    if (!answer.ok) throw await errorOfAnswer(answer);
    return answer;
  };
}

function addressOf(url: string): URL {
  const address = URL.parse(url);
  if (address === null || !/^https?:$/.test(address.protocol))
    throw new TypeError('The address of the HTTP API is no URL: write http://127.0.0.1:8420.');
  if (address.username !== '' || address.password !== '')
    throw new TypeError('The address of the HTTP API holds a user or a password: give the key as `key`.');
  if (!address.pathname.endsWith('/')) address.pathname += '/';
  return address;
}
