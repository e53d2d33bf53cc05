import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { EventStream } from './events.ts';
import type { Streams } from './middleware/streams.ts';
import { type Fault, Problem } from './problem.ts';
import { type Call, type Caller, Reply, type Route } from './route.ts';

export interface ServedRoute {
  readonly route: Route;
  readonly streams: Streams;
  readonly checkAnswers: boolean;
}

export const serveRoute = (route: Route, served: Omit<ServedRoute, 'route'>): ServedRoute => ({
  route,
  ...served,
});

const DEFAULT_TIMEOUT_MS = 30_000;
const NOBODY: Caller = { name: 'nobody', role: 'viewer', by: 'open' };

/** Checks what a request brings, lets the route's handler answer it within its time, and sends that. */
export async function answerWith(
  served: ServedRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { route } = served;
  const call = new Asked(route, request, reply);
  const limit = route.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => {
      call.abort();
      fail(new Problem(504, 'timeout', `There was no answer within ${limit} ms.`));
    }, limit);
  });
  let answer: unknown;
  try {
    answer = await Promise.race([route.handle(call), late]);
  } finally {
    clearTimeout(timer);
  }
  if (answer instanceof EventStream) {
    await sendStream(served, answer, reply);
    return reply;
  }
  const { status, body, headers } =
    answer instanceof Reply ? answer : new Reply(route.answers[0]?.status ?? 200, answer);
  if (served.checkAnswers) checkAnswer(route, status, body);
  for (const name in headers) reply.header(name, headers[name]);
  reply.code(status);
  if (body === null || body === undefined) return reply.send();
  if (typeof body === 'string' || body instanceof Uint8Array || body instanceof Readable)
    return reply.send(body);
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(body));
}

async function sendStream({ streams }: ServedRoute, stream: EventStream, reply: FastifyReply): Promise<void> {
  streams.admit();
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) headers[name] = String(value);
  reply.hijack();
  await streams.serve(stream, reply.raw, headers);
}

/** A request as its handler sees it. What few handlers look at is made when they do. */
class Asked implements Call {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly raw: Call['raw'];
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  #controller: AbortController | undefined;
  #aborted = false;

  constructor(route: Route, request: FastifyRequest, reply: FastifyReply) {
    this.#request = request;
    this.#reply = reply;
    this.raw = rawOf(route, request);
    const faults: Found[] = [];
    this.params = check('path', route.params, request.params, faults);
    this.query = check('query', route.query, request.query, faults);
    this.body =
      this.raw === null ? check('body', route.body?.json, bodyOf(route, request), faults) : undefined;
    if (faults.length > 0) {
      const [first] = faults;
      // What has the right form and means nothing (30 February) is not the same as what has not.
      const formed = faults.every(({ formed: one }) => one);
      throw new Problem(
        formed ? 422 : 400,
        formed ? 'bad_content' : 'bad_request',
        `${first?.where}: ${first?.message}${faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''}`,
        { errors: faults.map(({ where, message }) => ({ where, message })) },
      );
    }
  }

  get headers() {
    return this.#request.headers;
  }

  get caller() {
    return this.#request.attended.caller ?? NOBODY;
  }

  get requestId() {
    return this.#request.id;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort();
      else this.#reply.raw.once('close', () => this.abort());
    }
    return this.#controller.signal;
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort();
  }
}

function rawOf({ body }: Route, request: FastifyRequest): Call['raw'] {
  const { body: bytes } = request;
  if (body === undefined || !(bytes instanceof Buffer)) return null;
  const type = typeOf(request);
  if (body.types === undefined || !Object.hasOwn(body.types, type)) throw badType(body);
  return { type, bytes };
}

function bodyOf({ body }: Route, request: FastifyRequest): unknown {
  if (body === undefined) return undefined;
  if (body.json === undefined) throw badType(body);
  if (request.body === undefined) {
    if (body.optional === true) return {};
    throw new Problem(400, 'bad_request', 'A body is needed.', {
      errors: [{ where: 'body', message: 'is missing' }],
    });
  }
  return request.body;
}

const typeOf = (request: FastifyRequest) =>
  (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

function badType(body: NonNullable<Route['body']>): Problem {
  const types = [...(body.json === undefined ? [] : ['application/json']), ...Object.keys(body.types ?? {})];
  return new Problem(415, 'bad_type', `Send ${types.join(' or ')}.`);
}

const MOST_FAULTS = 20;

/** `formed`: its form is right. */
type Found = Fault & { readonly formed: boolean };

function check(where: string, schema: z.ZodType | undefined, value: unknown, faults: Found[]): unknown {
  if (schema === undefined) return undefined;
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  for (const { path, message, code } of checked.error.issues)
    if (faults.length < MOST_FAULTS)
      faults.push({
        where: [where, ...path.map(String)].join('.'),
        message,
        formed: code === 'custom',
      });
  return undefined;
}

function checkAnswer(route: Route, status: number, body: unknown): void {
  const declared = route.answers.find((one) => one.status === status);
  if (declared === undefined) throw new Error(`${route.name} answers ${status}, which it does not declare`);
  if (declared.schema === null || body instanceof Readable) return;
  const checked = declared.schema.safeParse(JSON.parse(JSON.stringify(body)));
  if (!checked.success)
    throw new Error(`${route.name} answers what its schema does not allow: ${checked.error.message}`);
}
