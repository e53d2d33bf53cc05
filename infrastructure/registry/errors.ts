import { MillraceError } from '../../schemas/refusal.ts';

export class RegistryError extends MillraceError {
  readonly code: 'unreachable' | 'not_allowed' | 'refused';
  readonly retriable: boolean;

  constructor(
    code: 'unreachable' | 'not_allowed' | 'refused',
    message: string,
    options: { retriable: boolean; cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.retriable = options.retriable;
  }
}

/** Records written with the subject's newest schema could not be read with this one. */
export class IncompatibleSchema extends MillraceError {
  readonly code = 'incompatible_schema';
  readonly retriable = false;
  readonly subject: string;

  constructor(subject: string, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.subject = subject;
  }
}
