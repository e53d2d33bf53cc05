import { MillraceError } from '../../schemas/refusal.ts';

/** Where the bytes of models lie, addressed by what they are. Adapters: a directory, and memory. */
export interface ArtefactStore {
  /** Stores the bytes, once; answers with their SHA-256 (hex) and where they lie, for a person. */
  put(bytes: Uint8Array): Promise<{ readonly sha256: string; readonly location: string }>;
  /** The bytes with that SHA-256, verified. Throws ArtefactStoreError. */
  get(sha256: string): Promise<Uint8Array>;
}

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
