/** What the API said instead of an answer (RFC 9457). */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

type Query = Readonly<Record<string, string | number | undefined>>;

/** `path` with its query; what is undefined or empty is left out. */
export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(name, String(value));
  return search.size === 0 ? path : `${path}?${search}`;
}

/** Throws ApiProblem where the API refuses, TypeError where it is not there. */
async function call<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(path, { ...init, headers: { accept: 'application/json', ...init.headers } });
  if (response.status === 204) return undefined as T;
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as T;
  const { code = 'failed', detail = `The API answered ${response.status}.` } = (body ?? {}) as {
    code?: string;
    detail?: string;
  };
  throw new ApiProblem(response.status, code, detail);
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
  call<T>(path, signal === undefined ? {} : { signal });

export const post = <T>(path: string, body: object): Promise<T> =>
  call<T>(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

export const remove = (path: string): Promise<void> => call<void>(path, { method: 'DELETE' });
