import { MillraceError } from '../../schemas/refusal.ts';

/** The replay cannot be what was asked for: nothing was sent. */
export class ReplayRefused extends MillraceError {
  readonly code = 'replay_refused';
  readonly retriable = false;
}

/** Clocks have not come back for longer than the caller wants to wait. */
export class ReplayStuck extends MillraceError {
  readonly code = 'replay_stuck';
  readonly retriable = false;
}

/** Another replay holds the raw topics of the project: nothing was sent. */
export class ReplayRunning extends MillraceError {
  readonly code = 'replay_running';
  readonly retriable = true;
}

/** Another process holds the replay now: this one has sent nothing since. */
export class ReplayTaken extends MillraceError {
  readonly code = 'replay_taken';
  readonly retriable = false;
}
