import { MillraceError } from '../../schemas/refusal.ts';

const STORE_ERROR_CODES = [
  /** No connection within the wait; nothing was sent. */
  'unreachable',
  /** Sent, and no answer came: it may have been stored or not. */
  'answer_lost',
  'loading',
  'read_only',
  'out_of_memory',
  'busy',
  'not_allowed',
  /** The server drops keys when its memory is full. */
  'evicts',
  /** The caller's own fault: keys of several slots, too much at once. */
  'bad_request',
  'closed',
  'server',
] as const;
export type StoreErrorCode = (typeof STORE_ERROR_CODES)[number];

const RETRIABLE: ReadonlySet<StoreErrorCode> = new Set([
  'unreachable',
  'answer_lost',
  'loading',
  'read_only',
  'out_of_memory',
  'busy',
]);

/**
 * The online store failed. After a retriable failure of a commit the caller reads its meta again before it
 * goes on: `answer_lost` says that the commit may have been stored.
 */
export class StoreError extends MillraceError {
  readonly code: StoreErrorCode;
  readonly retriable: boolean;
  override readonly final: boolean;

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.final = code === 'closed';
    this.retriable = RETRIABLE.has(code);
  }
}

/** What an error answer or a broken connection means. `where` names the server, without its password. */
export function storeErrorOf(error: unknown, where: string): StoreError {
  if (error instanceof StoreError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const make = (code: StoreErrorCode, sentence: string) => new StoreError(code, sentence, { cause: error });
  const word = /^-?([A-Z]+)\b/.exec(text)?.[1];
  if (word === 'LOADING')
    return make('loading', `Redis at ${where} is still loading its data; wait until it has.`);
  if (word === 'READONLY' || word === 'MASTERDOWN') {
    return make('read_only', `Redis at ${where} is a read-only replica (a failover?); it must be a primary.`);
  }
  if (word === 'OOM' || text.includes('OOM command not allowed')) {
    return make(
      'out_of_memory',
      `Redis at ${where} has reached maxmemory and takes no writes; raise it (policy noeviction) or free some.`,
    );
  }
  if (word === 'BUSY') return make('busy', `Redis at ${where} is busy running a script: ${text}`);
  if (word === 'MISCONF' || word === 'NOREPLICAS' || word === 'CLUSTERDOWN' || word === 'TRYAGAIN') {
    return make('busy', `Redis at ${where} takes no writes now: ${text}`);
  }
  if (word === 'NOAUTH' || word === 'WRONGPASS' || word === 'NOPERM' || word === 'DENIED') {
    return make(
      'not_allowed',
      `Redis at ${where} refuses this user (${text}); check user, password and rights.`,
    );
  }
  if (text.includes("isn't writeable")) {
    return make('unreachable', `Redis at ${where} cannot be reached: the connection has just been lost.`);
  }
  if (
    text.includes('timed out') ||
    text.includes('Connection is closed') ||
    text.includes('connection close') ||
    text.includes('max retries per request') ||
    /ECONNRESET|EPIPE|ETIMEDOUT/.test(text)
  ) {
    return make(
      'answer_lost',
      `The connection to Redis at ${where} broke before the answer came; whether the write was stored is not known (${text}).`,
    );
  }
  return make('server', `Redis at ${where} answered with an error: ${text}`);
}
