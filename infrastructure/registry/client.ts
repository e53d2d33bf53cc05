import { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Schema } from 'avsc';
import type { Connections } from '../../schemas/project.ts';
import type { SchemaText } from '../../schemas/registered-schema.ts';
import { describeConflict } from './conflict.ts';
import { IncompatibleSchema, RegistryError } from './errors.ts';
import type { SchemaRegistry } from './port.ts';
import { createReferences } from './references.ts';

const TIMEOUT_MS = 5_000;
const ATTEMPTS = 3;
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json';

/** Ids remembered at most, those that the registry knows and those that it does not. */
const MAX_REMEMBERED = 10_000;
/** An unknown id is asked for again after this, ever later: its schema may have been registered since. */
const FIRST_UNKNOWN_FOR_MS = 500;
const UNKNOWN_FOR_MS = 10_000;
/** Lookups under way at once, so that a flood of made-up ids cannot flood the registry. */
const MAX_LOOKUPS = 8;

export interface RegistryOptions {
  /** Epoch ms or any other clock that goes forward. */
  readonly now?: () => number;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Client of a schema registry that speaks Confluent's API, such as Apicurio's `/apis/ccompat/v7`. */
export function createRegistry(
  connection: Connections['registry'],
  options: RegistryOptions = {},
): SchemaRegistry {
  const now = options.now ?? (() => performance.now());
  const { base, authorization } = accessOf(connection);
  const known = new Map<number, SchemaText>();
  const unknown = new Map<number, { readonly until: number; readonly pause: number }>();
  const lookups = new Map<number, Promise<SchemaText | null>>();

  /** One request, tried again while the registry is away. Answers whatever status below 500 it gets. */
  async function call(method: string, path: string, body?: unknown): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      let failure: unknown;
      try {
        const response = await fetch(base + path, {
          method,
          headers: { accept: CONTENT_TYPE, 'content-type': 'application/json', ...authorization },
          signal: AbortSignal.timeout(TIMEOUT_MS),
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        if (response.status < 500) return answerOf(response.status, text, path);
        failure = new Error(`HTTP ${response.status}: ${text.slice(0, 200)}`);
      } catch (error) {
        if (error instanceof RegistryError) throw error;
        failure = error;
      }
      if (attempt === ATTEMPTS) {
        const { message, cause } = failure as Error;
        const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
        throw new RegistryError(
          'unreachable',
          `the schema registry at ${base} does not answer (${why}); is it running, and is registry.url right?`,
          { retriable: true, cause: failure },
        );
      }
      await sleep(100 * attempt);
    }
  }

  function answerOf(status: number, text: string, path: string): Answer {
    if (status === 401 || status === 403) {
      const message = `the schema registry at ${base} does not let us in (HTTP ${status}); mend registry.username and password`;
      throw new RegistryError('not_allowed', message, { retriable: false });
    }
    try {
      return { status, body: text === '' ? null : JSON.parse(text) };
    } catch (cause) {
      const message = `${base}${path} answered no JSON (HTTP ${status}); does registry.url end in /apis/ccompat/v7 or its like?`;
      throw new RegistryError('refused', message, { retriable: false, cause });
    }
  }

  function refused(what: string, { status, body }: Answer): RegistryError {
    const message = (body as { message?: unknown } | null)?.message ?? '';
    return new RegistryError('refused', `the schema registry refused ${what} (HTTP ${status}): ${message}`, {
      retriable: status === 429,
    });
  }

  const pathOf = (subject: string) => `/subjects/${encodeURIComponent(subject)}`;

  /** Id of exactly this schema under the subject, if it is there. */
  async function find(subject: string, schema: Schema): Promise<number | null> {
    const answer = await call('POST', pathOf(subject), { schema: JSON.stringify(schema) });
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw refused(`to look for a schema of ${subject}`, answer);
    return idOf(answer, `to look for a schema of ${subject}`);
  }

  function idOf(answer: Answer, what: string): number {
    const id = (answer.body as { id?: unknown } | null)?.id;
    if (typeof id !== 'number') throw refused(what, answer);
    return id;
  }

  async function newest(subject: string): Promise<string | null> {
    const answer = await call('GET', `${pathOf(subject)}/versions/latest`);
    if (answer.status === 404) return null;
    const schema = (answer.body as { schema?: unknown } | null)?.schema;
    if (answer.status !== 200 || typeof schema !== 'string')
      throw refused(`the newest schema of ${subject}`, answer);
    return schema;
  }

  const textsOf = createReferences(async (subject, version) => {
    const answer = await call('GET', `${pathOf(subject)}/versions/${version}`);
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw refused(`version ${version} of ${subject}`, answer);
    return answer.body;
  });

  async function lookUp(id: number): Promise<SchemaText | null> {
    const answer = await call('GET', `/schemas/ids/${id}`);
    const { schema, schemaType = 'AVRO', references } = (answer.body ?? {}) as Record<string, unknown>;
    // A schema that names one which is not there is as good as unknown.
    const texts = answer.status === 200 && schemaType === 'AVRO' ? await textsOf(references) : [];
    if (answer.status === 404 || texts === null) {
      const pause = Math.min((unknown.get(id)?.pause ?? FIRST_UNKNOWN_FOR_MS / 2) * 2, UNKNOWN_FOR_MS);
      remember(unknown, id, { until: now() + pause, pause });
      return null;
    }
    if (answer.status !== 200 || typeof schema !== 'string') throw refused(`schema ${id}`, answer);
    const found: SchemaText =
      schemaType === 'AVRO' && texts.length === 0
        ? schema
        : { type: String(schemaType), text: schema, references: texts };
    remember(known, id, found);
    return found;
  }

  const registry: SchemaRegistry = {
    async register(subject, schema) {
      const found = await find(subject, schema);
      if (found !== null) return found;
      const what = `to register a schema of ${subject}`;
      const level = await call('PUT', `/config/${encodeURIComponent(subject)}`, {
        compatibility: 'BACKWARD',
      });
      if (level.status !== 200) throw refused(`to make ${subject} BACKWARD compatible`, level);
      const answer = await call('POST', `${pathOf(subject)}/versions`, { schema: JSON.stringify(schema) });
      if (answer.status === 409) {
        const before = await newest(subject);
        const told = before === null ? null : describeConflict(subject, schema, before);
        const message = (answer.body as { message?: unknown } | null)?.message ?? '';
        throw new IncompatibleSchema(
          subject,
          told ?? `the schema of ${subject} is not compatible: ${message}`,
        );
      }
      if (answer.status !== 200) throw refused(what, answer);
      return idOf(answer, what);
    },
    async standing(subject, schema) {
      const before = await newest(subject);
      if (before === null) return { status: 'new' };
      const id = await find(subject, schema);
      if (id !== null) return { status: 'same', id };
      const detail = describeConflict(subject, schema, before);
      return detail === null ? { status: 'compatible' } : { status: 'conflict', detail };
    },
    async schemaById(id) {
      const schema = known.get(id);
      if (schema !== undefined) return schema;
      if ((unknown.get(id)?.until ?? Number.NEGATIVE_INFINITY) > now()) return null;
      let lookup = lookups.get(id);
      if (lookup === undefined) {
        lookup = lookUp(id).finally(() => lookups.delete(id));
        lookups.set(id, lookup);
      }
      return lookup;
    },
    async schemasById(ids) {
      const left = [...new Set(ids)];
      const found = new Map<number, SchemaText | null>();
      const worker = async () => {
        for (let id = left.pop(); id !== undefined; id = left.pop())
          found.set(id, await registry.schemaById(id));
      };
      await Promise.all(Array.from({ length: MAX_LOOKUPS }, worker));
      return found;
    },
    async versions(subject) {
      const what = `the versions of ${subject}`;
      const answer = await call('GET', `${pathOf(subject)}/versions`);
      if (answer.status === 404) return new Map();
      if (answer.status !== 200 || !Array.isArray(answer.body)) throw refused(what, answer);
      const found = new Map<number, string>();
      const numbers = answer.body.map(Number);
      const worker = async () => {
        for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
          const version = await call('GET', `${pathOf(subject)}/versions/${number}`);
          const { schema } = (version.body ?? {}) as { schema?: unknown };
          if (version.status === 404) continue; // Deleted meanwhile.
          if (version.status !== 200 || typeof schema !== 'string') throw refused(what, version);
          found.set(idOf(version, what), schema);
        }
      };
      await Promise.all(Array.from({ length: MAX_LOOKUPS }, worker));
      return found;
    },
    latest: newest,
    async subjects() {
      const answer = await call('GET', '/subjects');
      if (answer.status !== 200 || !Array.isArray(answer.body)) throw refused('to list its subjects', answer);
      return answer.body.map(String);
    },
    async remove(subject) {
      for (const query of ['', '?permanent=true']) {
        const answer = await call('DELETE', pathOf(subject) + query);
        if (answer.status !== 200 && answer.status !== 404) throw refused(`to delete ${subject}`, answer);
      }
    },
    async close() {},
  };
  return registry;
}

/**
 * The address without user and password, and the header that carries them: `fetch` refuses an address with them. The options
 * `username` and `password` come before those of the address.
 */
function accessOf({ url: text, username, password }: Connections['registry']) {
  const url = URL.parse(text);
  const plain = (url === null ? text : `${url.origin}${url.pathname}`).replace(/\/+$/, '');
  const user = username ?? decodeURIComponent(url?.username ?? '');
  if (user === '') return { base: plain, authorization: {} };
  const secret = username === undefined ? decodeURIComponent(url?.password ?? '') : (password ?? '');
  const basic = Buffer.from(`${user}:${secret}`).toString('base64');
  return { base: plain, authorization: { authorization: `Basic ${basic}` } };
}

/** Adds an entry; the oldest gives way where there are too many. */
function remember<V>(map: Map<number, V>, id: number, value: V): void {
  map.delete(id);
  map.set(id, value);
  if (map.size <= MAX_REMEMBERED) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}
