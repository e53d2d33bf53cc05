import type { Alert, Step } from './types.ts';

/** Why a run of a pipeline began, for a person: of an alert its rule and its sentence, where it is still known. */
export function causeOf(
  cause: string,
  alerts: readonly Pick<Alert, 'fingerprint' | 'rule' | 'summary'>[],
): string {
  const [, fingerprint] = /^alert ([^:]+):\d+$/.exec(cause) ?? [];
  const alert = alerts.find((one) => one.fingerprint === fingerprint);
  if (alert === undefined) return cause;
  return `${alert.rule} fired (${alert.summary.replace(/^Over: /, '').replace(/\.$/, '')})`;
}

/** Steps that wait for more evidence, and look again at each tick. */
const LOOK_AGAIN: readonly string[] = ['shadow', 'decide'];

/** How often a step was begun: again after a failure, or because there was more to look at. Null where it was begun once. */
export function againOf({
  does,
  attempt,
  error,
}: Pick<Step, 'does' | 'attempt' | 'error'>): { readonly said: string; readonly failed: boolean } | null {
  if (attempt <= 1) return null;
  if (LOOK_AGAIN.includes(does) && error === '') return { said: `looked ${attempt} times`, failed: false };
  return { said: `try ${attempt}`, failed: true };
}
