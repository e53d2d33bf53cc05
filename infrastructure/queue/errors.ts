import { MillraceError } from '../../schemas/refusal.ts';

export type QueueErrorCode =
  /** No connection, or no answer: what was sent may have been stored or not. */
  | 'unreachable'
  /** The server may drop keys of the queue when its memory is full. */
  | 'evicts'
  | 'refused'
  | 'closed';

export class QueueError extends MillraceError {
  readonly code: QueueErrorCode;
  readonly retriable: boolean;

  constructor(code: QueueErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retriable = code === 'unreachable';
  }
}
