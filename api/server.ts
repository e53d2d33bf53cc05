import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from '../infrastructure/telemetry/logger.ts';
import { answerWith, type ServedRoute, serveRoute } from './answer.ts';
import { serveConsole } from './console.ts';
import { createAuthenticator, type Gatekeeper } from './middleware/authenticate.ts';
import { createBodyBudget } from './middleware/bodies.ts';
import { createRateLimit, type Rate } from './middleware/rate.ts';
import { createStreams, type Streams } from './middleware/streams.ts';
import { PROBLEM_TYPE, Problem, problemOf, TITLES } from './problem.ts';
import { mayCall } from './roles.ts';
import type { Caller, Route } from './route.ts';
import { notUtf8 } from './utf8.ts';

export interface ServerOptions {
  readonly routes: readonly Route[];
  readonly gate: Gatekeeper;
  readonly logger: Logger;
  /** Told of each answer: the route's name, its status and how long it took, ms. */
  readonly onAnswer?: (route: string, status: number, ms: number) => void;
  /** Of one caller; null: no limit, nor one for those who guess keys. */
  readonly rate: Rate | null;
  readonly limits?: Partial<ServerLimits>;
  /** Built files of the console; left out: there is none. */
  readonly consoleDirectory?: string;
  /** Answers are checked against their route's schema, and a wrong one is a failure: for tests. */
  readonly checkAnswers?: boolean;
}

export interface ServerLimits {
  /** Bytes of bodies that all requests together may hold. */
  readonly bodyBytes: number;
  /** Event streams at once. */
  readonly streams: number;
  /** Bytes that may wait for one reader of an event stream. */
  readonly streamBytes: number;
  /** How long a request may take to arrive, ms. */
  readonly arrivalMs: number;
  readonly connections: number;
}

export const LIMITS: ServerLimits = {
  bodyBytes: 256 * 1024 * 1024,
  streams: 1_000,
  streamBytes: 512 * 1024,
  arrivalMs: 30_000,
  connections: 12_000,
};

/** What the server keeps of a request while it is under way. */
export interface Attended {
  readonly startedAt: number;
  caller: Caller | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    attended: Attended;
  }
  interface FastifyContextConfig {
    served?: ServedRoute;
    /** A file of the console, which needs no key. */
    open?: boolean;
  }
}

/** Failed attempts to be let in, from one address. */
const STRANGERS: Rate = { perSecond: 5, burst: 20 };
const DEFAULT_BODY_BYTES = 1024 * 1024;
const HEADERS_MS = 10_000;
const KEEP_ALIVE_MS = 65_000;

/** The HTTP server of all routes; not listening yet. Closing it lets what is under way end. */
export function createServer(options: ServerOptions): FastifyInstance {
  const limits = { ...LIMITS, ...options.limits };
  const { logger } = options;
  const app = Fastify({
    logger: false,
    genReqId,
    bodyLimit: DEFAULT_BODY_BYTES,
    requestTimeout: limits.arrivalMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1_000 },
    http: { headersTimeout: Math.min(HEADERS_MS, limits.arrivalMs), connectionsCheckingInterval: 500 },
    clientErrorHandler: (error, socket) => refuseConnection(error, socket),
    frameworkErrors: (error, request, reply) => void sendProblem(problemOf(error), request, reply, logger),
  });
  app.server.maxConnections = limits.connections;
  app.decorateRequest('attended');
  takeBodies(app);
  const streams = createStreams(limits, (error) =>
    logger.warn({ event: 'failed', route: 'stream', error }, 'an event stream broke'),
  );
  guard(app, options, limits);
  // What has no route is refused by the guard; this one answers for a file of the console that is not there.
  app.setNotFoundHandler((request, reply) => sendProblem(missing(request, []), request, reply, logger));
  app.setErrorHandler((error, request, reply) => sendProblem(problemOf(error), request, reply, logger));
  for (const route of options.routes) addRoute(app, route, options, streams);
  if (options.consoleDirectory !== undefined) serveConsole(app, options.consoleDirectory);
  app.addHook('preClose', async () => streams.close());
  return app;
}

function addRoute(app: FastifyInstance, route: Route, options: ServerOptions, streams: Streams): void {
  const served = serveRoute(route, { streams, checkAnswers: options.checkAnswers ?? false });
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: route.bodyLimit ?? DEFAULT_BODY_BYTES,
    config: { served },
    handler: (request, reply) => answerWith(served, request, reply),
  });
}

/** The caller's own id where it is harmless, so that its log and ours can be read together. */
function genReqId(request: { readonly headers: Readonly<Record<string, unknown>> }): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID();
}

/** Bodies as bytes; JSON only where it is UTF-8. Other types are refused. */
function takeBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const bytes = body as Buffer;
    if (bytes.length === 0) return done(null, undefined);
    if (!isUtf8(bytes)) return done(notUtf8());
    parse(request, bytes.toString('utf8'), done);
  });
  for (const type of [
    'application/x-ndjson',
    'text/csv',
    'application/vnd.apache.parquet',
    'application/octet-stream',
  ])
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/** Who may go in: before a byte of the body is read. */
function guard(app: FastifyInstance, options: ServerOptions, limits: ServerLimits): void {
  const { gate, rate, logger, onAnswer } = options;
  const authenticate = createAuthenticator(gate);
  const mayGo = rate === null ? () => 0 : createRateLimit(rate, gate.now);
  const mayTry = rate === null ? () => 0 : createRateLimit(STRANGERS, gate.now);
  const bodies = createBodyBudget(limits.bodyBytes);
  const allowed = allowedMethods(options.routes);
  app.addHook('onRequest', async (request, reply) => {
    request.attended = { startedAt: performance.now(), caller: null };
    reply.header('x-request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    const route = request.routeOptions.config.served?.route;
    const caller = await authenticate(request.headers);
    request.attended.caller = caller;
    const isPublic = route?.access === 'public' || request.routeOptions.config.open === true;
    if (caller === null && !isPublic) {
      const wait = mayTry(request.ip);
      if (wait > 0) throw tooMany(wait);
      throw new Problem(401, 'no_key', 'Send a key that counts: Authorization: Bearer KEY.', {
        headers: { 'www-authenticate': 'Bearer realm="millrace"' },
      });
    }
    const wait = mayGo(caller === null ? request.ip : `${caller.by} ${caller.name}`);
    if (wait > 0) throw tooMany(wait);
    if (route !== undefined && caller !== null && !mayCall(caller.role, route.access))
      throw new Problem(
        403,
        'not_allowed',
        `The role ${caller.role} may not do this: it takes ${(route.access as readonly string[]).join(' or ')}.`,
      );
    // Here, so that no byte of a body is read that nobody wants, and whatever the method is called.
    if (route === undefined && !isPublic) throw missing(request, allowed);
    if (route?.body === undefined) return;
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding.trim().toLowerCase() !== 'identity')
      throw new Problem(
        415,
        'bad_encoding',
        `The body is packed (content-encoding: ${encoding}), which is not taken here: send it as it is.`,
      );
    bodies.hold(request.headers, route.bodyLimit ?? DEFAULT_BODY_BYTES, reply.raw);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { attended } = request;
    const route = request.routeOptions.config.served?.route;
    const ms = performance.now() - attended.startedAt;
    onAnswer?.(route?.name ?? 'none', reply.statusCode, ms);
    const fields = {
      event: 'request',
      requestId: request.id,
      route: route?.name ?? 'none',
      status: reply.statusCode,
      ms: Math.round(ms * 1_000) / 1_000,
      caller: attended.caller?.name ?? null,
    };
    if (route?.changes === true && reply.statusCode < 400) logger.info(fields, 'changed by HTTP');
    else logger.debug(fields, 'answered');
  });
}

const tooMany = (waitMs: number) =>
  new Problem(429, 'too_many_requests', `Wait ${Math.ceil(waitMs)} ms before the next request.`, {
    headers: { 'retry-after': String(Math.ceil(waitMs / 1_000)) },
  });

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  // A request that was refused before the first hook has nothing of its own yet.
  request.attended ??= { startedAt: performance.now(), caller: null };
  if (problem.status >= 500) {
    const fields = {
      event: 'failed',
      requestId: request.id,
      route: request.routeOptions.config?.served?.route.name ?? 'none',
      code: problem.code,
      error: problem.options.cause ?? problem,
    };
    if (problem.status === 500) logger.error(fields, 'a request failed');
    else logger.warn(fields, 'a request could not be answered');
  }
  for (const [name, value] of Object.entries(problem.options.headers ?? {})) reply.header(name, value);
  reply
    .code(problem.status)
    .header('x-request-id', request.id)
    .header('cache-control', 'no-store')
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problem.document(request.id)));
}

/** Methods by path pattern; a path without parameters stands before those that it would fit too. */
function allowedMethods(routes: readonly Route[]): ReadonlyArray<readonly [RegExp, Set<string>]> {
  const byPath = new Map<string, Set<string>>();
  for (const { path, method } of routes) byPath.set(path, (byPath.get(path) ?? new Set()).add(method));
  const fixedFirst = [...byPath].sort(([a], [b]) => Number(a.includes('{')) - Number(b.includes('{')));
  return fixedFirst.map(([path, methods]) => [
    new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    methods,
  ]);
}

function missing(
  { url, method }: FastifyRequest,
  allowed: ReadonlyArray<readonly [RegExp, Set<string>]>,
): Problem {
  const path = url.split('?', 1)[0] ?? '';
  const [, methods] = allowed.find(([pattern]) => pattern.test(path)) ?? [];
  if (methods === undefined || methods.has(method))
    return new Problem(
      404,
      'no_route',
      'There is nothing at this address; /openapi.json lists what there is.',
    );
  const allow = [...methods].join(', ');
  return new Problem(405, 'bad_method', `This address takes ${allow}.`, { headers: { allow } });
}

const CONNECTION_PROBLEMS: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'too_slow'],
  HPE_HEADER_OVERFLOW: [431, 'too_large'],
  HPE_INVALID_METHOD: [405, 'bad_method'],
};

/** What is no HTTP, or came too slowly: there is no request to answer. */
function refuseConnection(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const [status, code] = CONNECTION_PROBLEMS[error.code ?? ''] ?? [400, 'bad_request'];
  const problem = new Problem(status, code, `${TITLES[status] ?? 'The request was refused'}.`);
  const body = JSON.stringify(problem.document(randomUUID()));
  socket.end(
    `HTTP/1.1 ${status} ${TITLES[status]}\r\nContent-Type: ${PROBLEM_TYPE}\r\n${status === 405 ? 'Allow: GET, POST, DELETE\r\n' : ''}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
