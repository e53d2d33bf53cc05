import { isUtf8 } from 'node:buffer';
import { Problem } from './problem.ts';

export const notUtf8 = () =>
  new Problem(
    400,
    'bad_request',
    'The text is not UTF-8: save it as UTF-8 (spreadsheets call it CSV UTF-8), and send it again.',
  );

/** Throws Problem: what is read as UTF-8 and is not would lose its letters in silence. */
export function mustBeUtf8(bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw notUtf8();
}
