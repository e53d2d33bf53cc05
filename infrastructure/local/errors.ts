export type StackErrorCode =
  | 'missing_tool'
  | 'download_failed'
  | 'checksum'
  | 'start_failed'
  | 'not_ready'
  | 'interrupted'
  | 'locked'
  | 'unsupported';

/** The local stack could not do what was asked. `retriable`: the same call may work a little later. */
export class StackError extends Error {
  readonly code: StackErrorCode;
  readonly retriable: boolean;

  constructor(code: StackErrorCode, message: string, options?: { retriable?: boolean; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StackError';
    this.code = code;
    this.retriable = options?.retriable ?? false;
  }
}

export const alternatives =
  'Install it, start Docker (the stack then runs in containers), or run everything in one process with `make demo EMBEDDED=1`.';
