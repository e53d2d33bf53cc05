import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { EventStream } from './events.ts';
import type { Access, Role } from './roles.ts';

/** Who calls. */
export interface Caller {
  /** Name of the key, subject of the token, or `local`. */
  readonly name: string;
  readonly role: Role;
  readonly by: 'key' | 'session' | 'token' | 'open';
}

/** What a request brings, checked. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The body as it came, where its type is not JSON. */
  readonly raw: { readonly type: string; readonly bytes: Buffer } | null;
  readonly headers: IncomingHttpHeaders;
  readonly caller: Caller;
  readonly requestId: string;
  /** Aborted when the time limit is over or the caller is gone. */
  readonly signal: AbortSignal;
}

/** An answer that is more than the JSON of its route's schema. */
export class Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

export type Method = 'GET' | 'POST' | 'DELETE';

export interface Answer {
  readonly status: number;
  readonly description: string;
  /** Of the JSON; null where the answer has no body. */
  readonly schema: z.ZodType | null;
  /** Default: application/json. */
  readonly types?: readonly string[];
}

/** One endpoint as data: what it takes, gives, and whom it serves. The server, the OpenAPI document and the table of roles are made of these. */
export interface Route {
  readonly method: Method;
  /** `/v1/features/{view}` */
  readonly path: string;
  /** `operationId` of the document: unique, camel case. */
  readonly name: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: {
    readonly json?: z.ZodType;
    /** Other types that are taken, with a sentence about each. */
    readonly types?: Readonly<Record<string, string>>;
    /** An empty body is taken for `{}`. */
    readonly optional?: boolean;
    readonly example?: unknown;
  };
  readonly answers: readonly Answer[];
  /** Statuses of problems that are this route's own, with what they mean. */
  readonly problems?: Readonly<Record<number, string>>;
  /** Bytes; default 1 MiB. */
  readonly bodyLimit?: number;
  /** ms; default 30 s. */
  readonly timeoutMs?: number;
  /** Whether a change by it is written to the log with who made it. */
  readonly changes?: boolean;
  readonly handle: (call: Call) => Promise<unknown>;
}

type RouteOf<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = Omit<
  Route,
  'params' | 'query' | 'body' | 'handle'
> & {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: Omit<NonNullable<Route['body']>, 'json'> & { readonly json?: B };
  readonly handle: (
    call: Call<z.output<P>, z.output<Q>, z.output<B>>,
  ) => Promise<Reply | EventStream | object | null>;
};

/** Types a handler by the schemas of its route. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  one: RouteOf<P, Q, B>,
): Route {
  return one as unknown as Route;
}
