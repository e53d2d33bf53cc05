import type { Delivery } from '../../models/alerting/deliveries.ts';
import { alertsEvent, structuredBody } from '../../schemas/cloud-event.ts';
import type { Alert } from '../../schemas/records/alert.ts';

const iso = (time: number) => new Date(time).toISOString();
const isoOrNull = (time: number | null) => (time === null ? null : iso(time));

/** Whose alerts they are. */
export interface Sending {
  readonly project: string;
  readonly prefix: string;
}

/** What a webhook gets. */
export const webhookBody = (from: Sending, delivery: Delivery): string =>
  JSON.stringify(webhookData(from, delivery));

/** The same as a CloudEvent, for a webhook that asks for it. */
export function cloudEventBody(from: Sending, delivery: Delivery): string {
  const at = Math.max(...delivery.changes.map((change) => change.at));
  return structuredBody(alertsEvent(from.prefix, delivery.id, at), webhookData(from, delivery));
}

/** Times are ISO 8601; `tick`, `startedAt`, `firedAt` and `endedAt` are event time. */
function webhookData({ project, prefix }: Sending, { id, receiver, group, changes }: Delivery) {
  return {
    format: 1,
    delivery: id,
    project,
    prefix,
    receiver,
    group,
    alerts: changes.map((alert) => ({
      id: alert.id,
      fingerprint: alert.fingerprint,
      change: alert.change,
      state: alert.state,
      rule: alert.rule,
      severity: alert.severity,
      summary: alert.summary,
      kind: alert.kind,
      statistic: alert.statistic,
      model: alert.model,
      version: alert.version,
      subject: alert.subject,
      slice: alert.slice,
      value: alert.value,
      threshold: alert.threshold,
      tick: iso(alert.tick),
      startedAt: iso(alert.startedAt),
      firedAt: isoOrNull(alert.firedAt),
      endedAt: isoOrNull(alert.endedAt),
      at: iso(alert.at),
    })),
  };
}

/** Alertmanager gives up an alert that nobody tells it of again: for so long it believes us, ms. */
const BELIEVED_MS = 24 * 3_600_000;

/**
 * What Alertmanager's v2 API takes. It holds alerts against its own clock, so starts and ends are wall times here, and
 * event times are annotations. Labels are what an alert is of, and so the same when it fires and when it is resolved.
 */
export function alertmanagerBody(
  { project, prefix }: Sending,
  changes: readonly Alert[],
  now: number,
): string {
  return JSON.stringify(
    changes.map((alert) => ({
      labels: filled({
        alertname: alert.rule,
        severity: alert.severity,
        project,
        prefix,
        model: alert.model,
        subject: alert.subject,
        slice: alert.slice,
        fingerprint: alert.fingerprint,
      }),
      annotations: filled({
        summary: alert.summary,
        statistic: alert.statistic,
        version: alert.version === 0 ? '' : String(alert.version),
        value: alert.value === null ? '' : String(alert.value),
        threshold: alert.threshold === null ? '' : String(alert.threshold),
        event_started_at: iso(alert.startedAt),
        event_changed_at: iso(alert.tick),
        event_ended_at: isoOrNull(alert.endedAt) ?? '',
        change: alert.id,
      }),
      // Left out for one that is resolved: Alertmanager keeps the start that it knows.
      ...(alert.state === 'resolved'
        ? { endsAt: iso(Math.min(alert.at, now)) }
        : { startsAt: iso(Math.min(alert.at, now)), endsAt: iso(now + BELIEVED_MS) }),
    })),
  );
}

/** Alertmanager takes an empty label for one that is not there. */
const filled = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));

/** Alerts that a message names; a chat is read by people, and messages above 4,096 characters are refused by some. */
const NAMED = 15;
const LONGEST_LINE = 220;

/** What a chat's incoming webhook takes. */
export function chatBody({ project, prefix }: Sending, { changes }: Delivery): string {
  const of = project === prefix ? project : `${project} (${prefix})`;
  const firing = changes.filter(({ state }) => state === 'firing').length;
  const counts = [
    ...(firing > 0 ? [`${firing} firing`] : []),
    ...(firing < changes.length ? [`${changes.length - firing} over`] : []),
  ];
  const lines = changes.slice(0, NAMED).map(lineOf);
  const more = changes.length - lines.length;
  const rest = more > 0 ? [`… and ${more} more: millrace alerts ls`] : [];
  return JSON.stringify({ text: [`${harmless(of)}: ${counts.join(', ')}`, ...lines, ...rest].join('\n') });
}

function lineOf({ state, severity, rule, summary, slice, subject, tick }: Alert): string {
  const what = [subject, slice].filter((one) => one !== '' && !summary.includes(one)).join(', ');
  const text = `${summary}${what === '' ? '' : ` (${what})`}`;
  const line = `${state === 'firing' ? `[${severity}]` : '[over]'} ${rule}: ${text}`;
  const cut = line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line;
  return `${harmless(cut)} at ${iso(tick)}`;
}

/**
 * Texts of alerts hold values of events, which anybody may send: no link, no command and no call to everybody of the channel
 * may come of them. Chats read these in angle brackets and behind an at sign.
 */
const harmless = (text: string) =>
  text
    .replace(/\s+/g, ' ')
    .replaceAll('<', '‹')
    .replaceAll('>', '›')
    .replace(/@(?=\w)/g, '@\u200b');
