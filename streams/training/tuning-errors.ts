import { MillraceError } from '../../schemas/refusal.ts';

/** Parameters that cannot be trained. */
export class TrialFailed extends MillraceError {
  readonly code = 'trial_failed';
  readonly retriable = false;
}
