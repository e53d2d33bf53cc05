import { z } from 'zod';
import { COOKIE } from './middleware/sessions.ts';
import { PROBLEM_TYPE, TITLES } from './problem.ts';
import type { Answer, Route } from './route.ts';

type Json = { readonly [key: string]: unknown };

/** What any route may answer with, beside its own problems. */
const COMMON = [400, 401, 403, 408, 429, 500, 503, 504] as const;
const PUBLIC = [400, 408, 429, 500, 503, 504] as const;

const DESCRIPTION = `Sends events, reads features, asks models, and shows and changes what runs.

Times are epoch milliseconds in answers; requests may also write them as ISO 8601 with a zone. Answers that say no are
\`application/problem+json\` (RFC 9457) with \`code\`, one word for programs. Every answer carries \`x-request-id\`, which the
server's log has too.`;

/** The OpenAPI 3.1 document of a list of routes. */
export function openApiOf(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const methods = paths[route.path] ?? {};
    paths[route.path] = methods;
    methods[route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    security: [{ key: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description: 'A key (millrace keys create), or a token of the OpenID Connect issuer.',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: COOKIE,
          description: 'Of the console, by POST /v1/session.',
        },
      },
      schemas: { Problem: problemSchema },
      responses: Object.fromEntries(
        Object.keys(TITLES).map((status) => [
          `Problem${status}`,
          {
            description: TITLES[Number(status)],
            content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        ]),
      ),
    },
  };
}

const problemSchema = {
  type: 'object',
  description: 'An answer that says no: RFC 9457.',
  required: ['type', 'title', 'status', 'code', 'detail', 'requestId'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'One word for programs.' },
    detail: { type: 'string', description: 'One sentence for a person.' },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['where', 'message'],
        properties: { where: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

function operationOf(route: Route): Json {
  const { access } = route;
  const parameters = [...parametersOf('path', route.params), ...parametersOf('query', route.query)];
  return {
    operationId: route.name,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, access === 'public' ? 'Needs no key.' : `Roles: ${access.join(', ')}.`]
      .filter((text) => text !== undefined)
      .join('\n\n'),
    ...(access === 'public' ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: bodyOf(route.body) }),
    responses: responsesOf(route),
  };
}

function responsesOf(route: Route): Json {
  const responses: Record<string, unknown> = {};
  for (const answer of route.answers) responses[String(answer.status)] = responseOf(answer);
  const common = route.access === 'public' ? PUBLIC : COMMON;
  const statuses = new Set<number>([
    ...common,
    ...(route.params === undefined ? [] : [404, 414]),
    ...((route.params ?? route.query ?? route.body?.json) ? [422] : []),
    ...(route.body === undefined ? [] : [413, 415]),
    ...Object.keys(route.problems ?? {}).map(Number),
  ]);
  for (const status of [...statuses].sort((a, b) => a - b)) {
    const own = route.problems?.[status];
    responses[String(status)] =
      own === undefined
        ? { $ref: `#/components/responses/Problem${status}` }
        : {
            description: own,
            content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
          };
  }
  return responses;
}

function responseOf({ description, schema, types }: Answer): Json {
  if (schema === null && types === undefined) return { description };
  const own = schema === null ? null : jsonSchemaOf(schema, 'output');
  const schemaOf = (type: string) => own ?? (type === 'application/json' ? {} : { type: 'string' });
  return {
    description,
    content: Object.fromEntries(
      (types ?? ['application/json']).map((type) => [type, { schema: schemaOf(type) }]),
    ),
  };
}

function bodyOf({ json, types = {}, optional = false, example }: NonNullable<Route['body']>): Json {
  const content: Record<string, unknown> = {};
  if (json !== undefined)
    content['application/json'] = {
      schema: jsonSchemaOf(json, 'input'),
      ...(example === undefined ? {} : { example }),
    };
  for (const [type, description] of Object.entries(types))
    content[type] = { schema: { type: 'string', format: 'binary', description } };
  return { required: !optional, content };
}

function parametersOf(place: 'path' | 'query', schema: z.ZodType | undefined): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchemaOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
  });
  return rest;
}

/** The table of who may call what. */
export function rolesTable(routes: readonly Route[], roles: readonly string[]): string {
  const mark = (route: Route, role: string) =>
    route.access === 'public' || (route.access as readonly string[]).includes(role) ? 'yes' : '';
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    row(['route', 'no key', ...roles, 'what it does']),
    row(['---', '---', ...roles.map(() => '---'), '---']),
    ...routes.map((route) =>
      row([
        `\`${route.method} ${route.path}\``,
        route.access === 'public' ? 'yes' : '',
        ...roles.map((role) => mark(route, role)),
        route.summary,
      ]),
    ),
  ].join('\n');
}
