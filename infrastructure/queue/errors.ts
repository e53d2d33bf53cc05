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
  override readonly final: boolean;

  constructor(code: QueueErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.final = code === 'closed';
    this.retriable = code === 'unreachable';
  }
}
