import { MillraceError } from '../../schemas/refusal.ts';

/** A file that cannot be read as history: the message names the file, the row where one is to blame, and the mend. */
export class HistoryFileError extends MillraceError {
  readonly code = 'history_file';
  readonly retriable = false;
}
