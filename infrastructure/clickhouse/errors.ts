import type { ClickHouseError } from '@clickhouse/client';
import { MillraceError } from '../../schemas/refusal.ts';
import { HttpAnswer } from './http-answer.ts';

const WAREHOUSE_ERROR_CODES = [
  'unreachable',
  /** Sent, and no answer came: an insert may have been stored; the same token makes its repeat harmless. */
  'answer_lost',
  /** The server is up and takes no more now: memory, disk, too many parts or queries. */
  'overloaded',
  'not_allowed',
  'missing_table',
  /** The statement or its data; a repeat fails alike. */
  'refused',
] as const;
export type WarehouseErrorCode = (typeof WAREHOUSE_ERROR_CODES)[number];

const RETRIABLE: ReadonlySet<WarehouseErrorCode> = new Set(['unreachable', 'answer_lost', 'overloaded']);

export class WarehouseError extends MillraceError {
  readonly code: WarehouseErrorCode;
  readonly retriable: boolean;

  constructor(code: WarehouseErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retriable = RETRIABLE.has(code);
  }
}

/**
 * Error numbers of ClickHouse's ErrorCodes.cpp that pass by themselves: 159 and 160 timeouts, 202 too many
 * queries, 203 no free connection, 209 and 210 network, 225 no Keeper, 236 aborted (shutting down), 241 memory,
 * 242 table is read-only, 243 no disk space, 252 too many parts, 319 unknown status of an insert, 394 cancelled,
 * 439 no thread, 473 deadlock avoided, 745 server overloaded, 999 Keeper.
 */
const PASSING = new Set([
  159, 160, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 319, 394, 439, 473, 745, 999,
]);
/** 192 unknown user, 193 wrong password, 194 password required, 497 access denied, 516 authentication failed. */
const ACCESS = new Set([164, 192, 193, 194, 497, 516]);

export const UNKNOWN_DATABASE = 81;

/** `where` is host:port and `what` the statement or table, for a person. */
export function warehouseErrorOf(error: unknown, where: string, what: string): WarehouseError {
  if (error instanceof WarehouseError) return error;
  const text = reasonOf(error);
  const make = (code: WarehouseErrorCode, sentence: string) =>
    new WarehouseError(code, sentence, { cause: error });
  if (isServerError(error)) {
    const number = Number(error.code);
    const says = `ClickHouse at ${where} refuses ${what} (${number} ${error.type ?? ''}): ${text}`;
    if (PASSING.has(number)) return make('overloaded', `${says} It is tried again.`);
    if (ACCESS.has(number)) return make('not_allowed', `${says} Check user, password and rights.`);
    if (number === 60 || number === UNKNOWN_DATABASE) {
      // ClickHouse repeats the whole statement behind the name that it misses, or ends with a stop.
      const missed = text.replace(/( in scope .*|\.)$/, '');
      return make(
        'missing_table',
        `ClickHouse at ${where} (${number} ${error.type ?? ''}): ${missed}. Run \`millrace apply\` to make the tables.`,
      );
    }
    if (number === 16 || number === 47)
      return make('refused', `${says} If this version added the column, \`millrace apply\` makes it.`);
    return make('refused', says);
  }
  if (error instanceof HttpAnswer) {
    const says = `ClickHouse at ${where} did not take ${what}: ${text}.`;
    if (LATER.has(error.status)) return make('overloaded', `${says} It is tried again.`);
    if (error.status === 401 || error.status === 403)
      return make('not_allowed', `${says} Check user, password and rights.`);
    return make('refused', `${says} ${adviceOf(error.status)}`);
  }
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(code)) {
    return make(
      'unreachable',
      `ClickHouse at ${where} cannot be reached (${text}); check that it runs and that the address is right.`,
    );
  }
  if (
    /^(ECONNRESET|EPIPE|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE)$/.test(code) ||
    /timeout|hang up|aborted|closed/i.test(text)
  ) {
    return make(
      'answer_lost',
      `The connection to ClickHouse at ${where} broke before ${what} was answered (${text}).`,
    );
  }
  return make('refused', `ClickHouse at ${where}, ${what}: ${text}`);
}

/** An error in ClickHouse's own words. Known by its number, so that whoever handles errors need not load the client. */
export function isServerError(error: unknown): error is ClickHouseError {
  return error instanceof Error && 'type' in error && 'code' in error && /^\d+$/.test(String(error.code));
}

/** HTTP answers of what stands before ClickHouse that pass by themselves. */
const LATER = new Set([408, 425, 429, 500, 502, 503, 504]);

function adviceOf(status: number): string {
  if (status === 413)
    return 'Something between here and ClickHouse limits the size of a body: raise that limit.';
  if (status === 414 || status === 431)
    return 'Something between here and ClickHouse limits the length of an address: raise that limit.';
  return 'Check that the address is that of its HTTP interface.';
}

const LONGEST_REASON = 500;

/** The first line of what went wrong, never empty: an error without a message is told by its code or its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = error.message.split('\n')[0]?.trim() ?? '';
  if (line !== '') return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON)}…` : line;
  const { code, cause } = error as NodeJS.ErrnoException;
  if (code !== undefined && code !== '') return code;
  return cause === undefined ? error.name : reasonOf(cause);
}
