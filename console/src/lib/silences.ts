import type { Alert, Silence } from './types.ts';

/** The silence that an alert is under; undefined where somebody is told of it. What a silence leaves empty holds for all. */
export const silenceOf = (alert: Alert, silences: readonly Silence[]): Silence | undefined =>
  silences.find(({ rule, model, subject }) =>
    (
      [
        [rule, alert.rule],
        [model, alert.model],
        [subject, alert.subject],
      ] as const
    ).every(([wanted, has]) => wanted === '' || wanted === has),
  );
