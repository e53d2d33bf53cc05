import { MillraceError } from '../../schemas/refusal.ts';

export type ArtefactStoreErrorCode = 'missing' | 'altered' | 'bad_address' | 'unreadable';

export class ArtefactStoreError extends MillraceError {
  readonly code: ArtefactStoreErrorCode;
  /** A missing one may be on its way (a shared directory, a restored backup). */
  readonly retriable: boolean;

  constructor(code: ArtefactStoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retriable = code === 'missing' || code === 'unreadable';
  }
}
