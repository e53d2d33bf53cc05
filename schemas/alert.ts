import type { MeasureKind } from './monitoring.ts';

/** The rule of alerts that ingest makes itself, when it pauses a source. */
export const SOURCE_PAUSED_RULE = 'source_paused';

export const SEVERITIES = ['info', 'warning', 'page'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What a rule's condition sees of a measure. */
export interface MeasureScope {
  readonly [name: string]: string | number | boolean | null;
}

/** A rule over measures: one alert for each (model, subject, slice) that it is true of. */
export interface AlertRule {
  readonly name: string;
  readonly kind: MeasureKind;
  /** Statistics it looks at; empty = all of the kind. */
  readonly statistics: readonly string[];
  /** Sees statistic, model, version, subject, slice, value, low, high, rows, threshold, fired, previous (value of the window before) and by (champion, shadow or both; empty where it says nothing). */
  readonly condition: (measure: MeasureScope) => boolean | null;
  /** Windows in a row that the condition holds before the alert fires; it is pending until then. */
  readonly forWindows: number;
  /** Windows in a row that it does not hold before the alert is resolved. */
  readonly resolveAfter: number;
  readonly severity: Severity;
  /** For a person; `{subject}`, `{value}`, `{slice}`, `{model}` are filled in. */
  readonly summary: string;
}

/** Which alerts go where; the first route that matches counts. */
export interface AlertRoute {
  readonly severities: readonly Severity[];
  /** Rules; empty = all. */
  readonly rules: readonly string[];
  /** Names of receivers of the connections. */
  readonly receivers: readonly string[];
}

/** When telling a receiver is given up. */
export interface DeliveryRule {
  /** From the look-up of a name to the last byte of the answer, ms. */
  readonly timeout: number;
  /** A receiver that answers 3xx or 4xx (but 408, 425, 429) is tried so often. */
  readonly tries: number;
  /** A receiver that cannot be reached, or answers 5xx, is tried for so long, ms. */
  readonly giveUpAfter: number;
}

export interface Alerting {
  readonly rules: readonly AlertRule[];
  readonly routes: readonly AlertRoute[];
  /** Alerts of one tick with equal values of these are told in one delivery. */
  readonly groupBy: ReadonlyArray<'rule' | 'model' | 'severity'>;
  readonly delivery: DeliveryRule;
}

/** Where alerts are delivered. An empty URL: nowhere, for now. */
export type Receiver =
  | {
      readonly kind: 'webhook';
      readonly url: string;
      readonly secret: string | null;
      /** Each delivery is one CloudEvent, in structured JSON. */
      readonly cloudEvents?: boolean;
    }
  | { readonly kind: 'alertmanager'; readonly url: string }
  /** Takes `{"text": …}`, as Slack, Mattermost and Google Chat do. */
  | { readonly kind: 'chat'; readonly url: string };
