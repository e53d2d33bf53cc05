import type { Alerting } from '../../schemas/alert.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { deliveryId } from './identity.ts';

/** Changes that one receiver is told together. */
export interface Delivery {
  /** Of the receiver and the changes: the same for every try. */
  readonly id: string;
  readonly receiver: string;
  /** Values that all of them share, by `groupBy`. */
  readonly group: Readonly<Partial<Record<'rule' | 'model' | 'severity', string>>>;
  readonly changes: readonly Alert[];
}

/** Bounds a body: a change is below 2 kB as JSON. */
const MAX_CHANGES = 100;

/** Receivers are told when an alert fires, and when one that fired is resolved. */
export const isTold = ({ state, firedAt }: Alert): boolean =>
  state === 'firing' || (state === 'resolved' && firedAt !== null);

/** Names of the receivers of an alert: the first route that matches counts. */
export function receiversOf(
  { routes }: Pick<Alerting, 'routes'>,
  alert: Pick<Alert, 'rule' | 'severity'>,
): readonly string[] {
  const route = routes.find(
    ({ rules, severities }) =>
      (rules.length === 0 || rules.includes(alert.rule)) &&
      severities.some((severity) => severity === alert.severity),
  );
  return [...new Set(route?.receivers ?? [])];
}

interface Group {
  readonly receiver: string;
  readonly group: Delivery['group'];
  readonly changes: Alert[];
}

/** What is told to whom of the changes of one tick. Depends on nothing but the changes and the declaration. */
export function deliveriesOf(
  alerting: Pick<Alerting, 'routes' | 'groupBy'>,
  prefix: string,
  changes: readonly Alert[],
): readonly Delivery[] {
  const groups = new Map<string, Group>();
  for (const alert of changes) {
    if (!isTold(alert)) continue;
    const group = Object.fromEntries(alerting.groupBy.map((name) => [name, alert[name]]));
    for (const receiver of receiversOf(alerting, alert)) {
      const key = JSON.stringify([receiver, group]);
      const found: Group = groups.get(key) ?? { receiver, group, changes: [] };
      groups.set(key, found);
      found.changes.push(alert);
    }
  }
  return [...groups.values()].flatMap(({ receiver, group, changes: all }) => {
    const parts: Delivery[] = [];
    for (let at = 0; at < all.length; at += MAX_CHANGES) {
      const part = all.slice(at, at + MAX_CHANGES);
      parts.push({
        id: deliveryId(
          prefix,
          receiver,
          part.map(({ id }) => id),
        ),
        receiver,
        group,
        changes: part,
      });
    }
    return parts;
  });
}

/** Somebody knows of it and wants to hear no more, for some time. Empty texts stand for all. */
export interface Silence {
  readonly id: string;
  readonly rule: string;
  readonly model: string;
  readonly subject: string;
  /** Wall clock, epoch ms. */
  readonly until: number;
  readonly by: string;
  readonly reason: string;
}

/** The silence that an alert falls under at `now` (wall clock, epoch ms), or null. */
export function silenceOf(
  silences: readonly Silence[],
  alert: Pick<Alert, 'rule' | 'model' | 'subject'>,
  now: number,
): Silence | null {
  const matches = (wanted: string, value: string) => wanted === '' || wanted === value;
  return (
    silences.find(
      ({ rule, model, subject, until }) =>
        until > now &&
        matches(rule, alert.rule) &&
        matches(model, alert.model) &&
        matches(subject, alert.subject),
    ) ?? null
  );
}
