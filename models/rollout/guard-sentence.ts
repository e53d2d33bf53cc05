import type { Estimate } from '../quality/types.ts';
import type { GuardCode, GuardState, GuardVerdict } from './guard-types.ts';
import { figure, interval, many, percent, span } from './wording.ts';

/** A guard's verdict for a person. */
export function guardSentence(
  code: GuardCode,
  { rules, blocks, rows, requests }: GuardState,
  loss: Estimate,
  bias: GuardVerdict['bias'],
  refused: GuardVerdict['refusedShare'],
): string {
  const seen = `${many(rows)} labelled requests in ${blocks.length} block${blocks.length === 1 ? '' : 's'} of ${span(rules.block)}`;
  const against = `log loss against the version before ${interval(loss)} over ${seen}`;
  switch (code) {
    case 'worse':
      return `Roll back: the new champion's log loss is worse than the version before by more than the ${figure(rules.tolerance)} that is allowed: ${interval(loss)} over ${seen}.`;
    case 'refusing':
      return `Roll back: the new champion refused ${percent(refused.champion ?? 0)} of ${many(requests)} requests, the version before ${percent(refused.previous ?? 0)}; ${percent(rules.maxRefused)} more is allowed.`;
    case 'badly_calibrated':
      return `Roll back: the new champion's mean score lies ${apart(bias.champion)} the rate over ${seen}, that of the version before ${apart(bias.previous)} it; ${figure(rules.maxBias)} more is allowed.`;
    case 'time_limit':
      return rows === 0
        ? `Keep: ${span(rules.duration)} after the promotion no block of requests with labels had come together, so nothing spoke against the new champion.`
        : `Keep: ${span(rules.duration)} after the promotion nothing speaks against the new champion: ${against}.`;
    case 'watching':
      return rows === 0
        ? `Keep watching: no complete block of labels yet (${many(requests)} requests).`
        : `Keep watching: ${against}.`;
  }
}

const apart = (bias: number | null): string =>
  `${figure(Math.abs(bias ?? 0))} ${(bias ?? 0) < 0 ? 'below' : 'above'}`;
