import { MillraceError } from '../../schemas/refusal.ts';

/** Parameters that cannot be trained. */
export class TrialFailed extends MillraceError {
  readonly code = 'trial_failed';
  readonly retriable = false;
}

/** A trial in hand when the search ended: it says nothing of its parameters, and is done again when the search goes on. */
export class TrialCutOff extends MillraceError {
  readonly code = 'cut_off';
  readonly retriable = true;

  constructor(why: string) {
    super(`${why} while this trial was in hand: it counts as not tried.`);
  }
}
