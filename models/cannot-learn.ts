/**
 * Rows or parameters that nothing can be learnt from, in one sentence for the person who asked. The same rows and
 * parameters will fail again.
 */
export class CannotLearn extends RangeError {
  readonly code = 'cannot_learn';
  readonly retriable = false;

  constructor(message: string) {
    super(message);
    this.name = 'CannotLearn';
  }
}
