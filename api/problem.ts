import { MillraceError } from '../schemas/refusal.ts';

/** What went wrong with one part of a request. */
export interface Fault {
  /** `body.time`, `query.limit`. */
  readonly where: string;
  readonly message: string;
}

/** An answer that says no: RFC 9457. `detail` is one sentence for a person; `code` one word for a program. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly requestId: string;
  readonly errors?: readonly Fault[];
  readonly [extra: string]: unknown;
}

export const PROBLEM_TYPE = 'application/problem+json';

export const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is not well formed',
  401: 'A key is needed',
  403: 'This key may not do that',
  404: 'There is no such thing',
  405: 'This method is not allowed here',
  406: 'No answer of that type',
  408: 'The request took too long to arrive',
  409: 'This is not possible as things stand',
  413: 'The body is too large',
  414: 'The address is too long',
  415: 'A body of this type is not taken here',
  421: 'This is not the server for that host',
  422: 'The content does not fit',
  429: 'Too many requests',
  431: 'The headers are too large',
  500: 'A bug of Millrace',
  503: 'Something that this needs is away',
  504: 'The answer took too long',
};

interface ProblemOptions {
  readonly errors?: readonly Fault[];
  readonly headers?: Readonly<Record<string, string>>;
  /** More members of the document. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Thrown by whoever answers a request. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly options: ProblemOptions;

  constructor(status: number, code: string, detail: string, options: ProblemOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.options = options;
  }

  document(requestId: string): ProblemDocument {
    const { errors, extra } = this.options;
    return {
      ...extra,
      type: 'about:blank',
      title: TITLES[this.status] ?? 'No',
      status: this.status,
      code: this.code,
      detail: this.message,
      requestId,
      ...(errors === undefined ? {} : { errors }),
    };
  }
}

/** Codes of our own errors that speak of what was asked for, not of the world. */
const STATUS_OF: Readonly<Record<string, number>> = {
  unknown_prediction: 404,
  no_features: 409,
  bad_transition: 409,
  rollout_refused: 409,
  superseded: 409,
  unknown_topic: 503,
  record_too_large: 413,
  layout_mismatch: 409,
};

/** Whatever was thrown, as an answer. A bug says nothing of itself but the request's id, under which the log has it. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof MillraceError) {
    const away = thrown.retriable || thrown.name === 'ArtefactStoreError';
    const status = STATUS_OF[thrown.code] ?? (away ? 503 : 500);
    const retry: ProblemOptions = status === 503 ? { headers: { 'retry-after': '1' } } : {};
    // What stands in a sentence about a server may be its address: that is for the log.
    const detail =
      status < 500
        ? thrown.message
        : status === 503
          ? `${SERVER_OF[thrown.name] ?? 'A server that this needs'} does not give what this needs (${thrown.code}); the log has more under the request's id.`
          : "This failed; the log has more under the request's id.";
    return new Problem(status, thrown.code, detail, { ...retry, cause: thrown });
  }
  return ofHttp(thrown) ?? bug(thrown);
}

const SERVER_OF: Readonly<Record<string, string>> = {
  StoreError: 'The online store',
  KafkaError: 'Kafka',
  WarehouseError: 'ClickHouse',
  RegistryError: 'The schema registry',
  QueueError: 'The queue of the pipelines',
  ArtefactStoreError: 'The store of models',
};

/** Refusals of the HTTP layer itself: a body that is no JSON, too large, of another type. */
function ofHttp(thrown: unknown): Problem | null {
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown)) return null;
  const { statusCode, code } = thrown as { statusCode: unknown; code?: unknown };
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return null;
  const sentence = HTTP_SENTENCES[String(code)] ?? TITLES[statusCode] ?? 'The request was refused';
  return new Problem(statusCode, HTTP_CODES[statusCode] ?? 'bad_request', `${sentence}.`, { cause: thrown });
}

const HTTP_CODES: Readonly<Record<number, string>> = {
  408: 'too_slow',
  413: 'too_large',
  414: 'too_long',
  415: 'bad_type',
  431: 'too_large',
};

const HTTP_SENTENCES: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body is no JSON',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The body is empty, and its type says JSON',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as its Content-Length says',
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    "A body of this type is not taken here: send the header 'content-type: application/json'",
  FST_ERR_BAD_URL: 'The address cannot be decoded',
};

const bug = (thrown: unknown) =>
  new Problem(500, 'internal', "This is a bug of Millrace; the log has it under the request's id.", {
    cause: thrown,
  });
