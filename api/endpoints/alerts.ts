import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { parseDuration } from '../../config/durations.ts';
import type { Silence } from '../../models/alerting/deliveries.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import { readSilences, writeSilence } from '../../monitoring/alerts/silences.ts';
import { ALERT_STATES, type Alert } from '../../schemas/records/alert.ts';
import type { ApiDeps } from '../deps.ts';
import { find } from '../find.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, nameSchema, reasonSchema, timeQuery } from '../schemas.ts';
import { authorOf } from './models.ts';

export const alertSchema = z.object({
  id: z.string().describe('Of the change.'),
  fingerprint: z.string().describe('Of the alert.'),
  change: z.number().int(),
  rule: z.string(),
  severity: z.string(),
  state: z.enum(ALERT_STATES),
  kind: z.string(),
  statistic: z.string(),
  model: z.string(),
  version: z.number().int(),
  subject: z.string(),
  slice: z.string(),
  value: z.number().nullable(),
  threshold: z.number().nullable(),
  summary: z.string(),
  tick: epochMs.describe('Event time at which it changed.'),
  startedAt: epochMs,
  firedAt: epochMs.nullable(),
  endedAt: epochMs.nullable(),
  at: epochMs.describe('Wall clock.'),
});

const silenceSchema = z.object({
  id: z.string(),
  rule: z.string().describe('Empty: every rule.'),
  model: z.string().describe('Empty: every model.'),
  subject: z.string().describe('Empty: every subject.'),
  until: epochMs.describe('Wall clock.'),
  by: z.string(),
  reason: z.string(),
});

const NO_DURATION = 'is no duration of up to a year: write 30m, 2h or 1d';

const durationSchema = z
  .string()
  .regex(/^(?:\d{1,9}(?:ms|s|m|h|d))+$/, NO_DURATION)
  .transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== null && ms > 0 && ms <= LONGEST_SILENCE_MS) return ms;
    context.addIssue({ code: 'custom', message: NO_DURATION });
    return z.NEVER;
  })
  .describe('By the wall clock: 30m, 2h, 1d.');

const LONGEST_SILENCE_MS = 366 * 86_400_000;
const RANK: Readonly<Record<Alert['state'], number>> = { firing: 0, pending: 1, resolved: 2 };

export const plainAlert = ({ format: _, ...rest }: Alert) => rest;

/** The alerts topic as one reader of this process has read it; each look reads what came since. */
function alertReader({ kafka, codecs, project }: Pick<ApiDeps, 'kafka' | 'codecs' | 'project'>) {
  const log = new AlertLog({ kafka, codec: codecs.alerts as never, prefix: project.prefix });
  let turn: Promise<unknown> = Promise.resolve();
  return async (): Promise<readonly Alert[]> => {
    const looked = turn.then(() => log.catchUp());
    turn = looked.catch(() => {});
    await looked;
    return log.changes();
  };
}

export function alertRoutes(deps: ApiDeps): Route[] {
  const changes = alertReader(deps);
  return [
    route({
      method: 'GET',
      path: '/v1/alerts',
      name: 'listAlerts',
      tag: 'alerts',
      summary: 'Alerts as they stand, those that fire first',
      access: LOOK,
      query: z.strictObject({
        state: z.enum(ALERT_STATES).optional(),
        rule: nameSchema.optional(),
        since: timeQuery.optional().describe('Only those that changed at or after this event time.'),
      }),
      answers: [{ status: 200, description: 'Alerts.', schema: z.object({ alerts: z.array(alertSchema) }) }],
      handle: async ({ query }) => {
        const latest = new Map<string, Alert>();
        for (const alert of await changes()) latest.set(alert.fingerprint, alert);
        const alerts = [...latest.values()]
          .filter(
            ({ state, rule, tick }) =>
              (query.state ?? state) === state &&
              (query.rule ?? rule) === rule &&
              tick >= (query.since ?? Number.NEGATIVE_INFINITY),
          )
          .sort(
            (a, b) =>
              RANK[a.state] - RANK[b.state] || b.tick - a.tick || (a.fingerprint < b.fingerprint ? -1 : 1),
          );
        return { alerts: alerts.map(plainAlert) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/alerts/{fingerprint}',
      name: 'getAlert',
      tag: 'alerts',
      summary: 'Every change of one alert',
      access: LOOK,
      params: z.strictObject({ fingerprint: nameSchema }),
      answers: [
        {
          status: 200,
          description: 'Changes, oldest first.',
          schema: z.object({ changes: z.array(alertSchema) }),
        },
      ],
      handle: async ({ params }) => ({
        changes: (await historyOf(changes, params.fingerprint)).map(plainAlert),
      }),
    }),
    ...silenceRoutes(deps, changes),
  ];
}

async function historyOf(
  changes: () => Promise<readonly Alert[]>,
  fingerprint: string,
): Promise<readonly Alert[]> {
  const found = (await changes()).filter((one) => one.fingerprint === fingerprint);
  if (found.length === 0)
    throw new Problem(404, 'unknown_alert', `No alert has the fingerprint ${fingerprint}.`);
  return found;
}

function silenceRoutes(
  { project, warehouse, clock }: ApiDeps,
  changes: () => Promise<readonly Alert[]>,
): Route[] {
  const answers = [{ status: 200, description: 'The silence.', schema: silenceSchema }];
  const keep = async (silence: Silence) => {
    await writeSilence(warehouse, project.prefix, silence, clock.now());
    return silence;
  };
  return [
    route({
      method: 'POST',
      path: '/v1/alerts/{fingerprint}/acknowledge',
      name: 'acknowledgeAlert',
      tag: 'alerts',
      summary: 'Say that somebody looks after an alert: nobody is told of it for a while',
      description: 'It stays in the list and on its topic. Kept as a silence of its rule, model and subject.',
      access: CHANGE,
      params: z.strictObject({ fingerprint: nameSchema }),
      body: {
        json: z.strictObject({ reason: reasonSchema, for: durationSchema.prefault(ACKNOWLEDGED_FOR) }),
        example: { reason: 'looking at the upstream outage', for: '2h' },
      },
      answers,
      problems: { 409: 'It is resolved.' },
      changes: true,
      handle: async ({ params, body, caller }) => {
        const alert = (await historyOf(changes, params.fingerprint)).at(-1);
        if (alert === undefined || alert.state === 'resolved')
          throw new Problem(409, 'resolved', 'This alert is resolved: there is nothing to look after.');
        const { rule, model, subject } = alert;
        return keep({
          id: randomUUID().slice(0, 8),
          rule,
          model,
          subject,
          until: clock.now() + body.for,
          by: authorOf(caller),
          reason: `acknowledged: ${body.reason.trim()}`,
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/silences',
      name: 'listSilences',
      tag: 'alerts',
      summary: 'What is silenced now, until when, by whom and why',
      access: LOOK,
      answers: [
        { status: 200, description: 'Silences.', schema: z.object({ silences: z.array(silenceSchema) }) },
      ],
      handle: async () => ({ silences: await readSilences(warehouse, project.prefix, clock.now()) }),
    }),
    route({
      method: 'POST',
      path: '/v1/silences',
      name: 'silenceAlerts',
      tag: 'alerts',
      summary: 'Tell nobody of some alerts for a while',
      access: CHANGE,
      body: {
        json: z.strictObject({
          rule: nameSchema.optional(),
          model: nameSchema.optional(),
          subject: nameSchema.optional(),
          for: durationSchema,
          reason: reasonSchema,
        }),
        example: { rule: 'drifted', for: '2h', reason: 'known storm' },
      },
      answers,
      problems: { 422: 'Neither rule, model nor subject is named, or the project has none of that name.' },
      changes: true,
      handle: async ({ body, caller }) => {
        const { rule = '', model = '', subject = '' } = body;
        if (rule === '' && model === '' && subject === '')
          throw new Problem(422, 'nothing_named', 'Say what to silence: rule, model or subject.');
        if (rule !== '') find('rule', project.alerting.rules, rule, 422);
        if (model !== '') find('model', project.models, model, 422);
        return keep({
          id: randomUUID().slice(0, 8),
          rule,
          model,
          subject,
          until: clock.now() + body.for,
          by: authorOf(caller),
          reason: body.reason.trim(),
        });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/silences/{id}/end',
      name: 'endSilence',
      tag: 'alerts',
      summary: 'End a silence now',
      access: CHANGE,
      params: z.strictObject({ id: nameSchema }),
      body: { json: z.strictObject({ reason: reasonSchema }), example: { reason: 'the storm is over' } },
      answers,
      changes: true,
      handle: async ({ params, body, caller }) => {
        const now = clock.now();
        const found = (await readSilences(warehouse, project.prefix, now)).find(({ id }) => id === params.id);
        if (found === undefined)
          throw new Problem(404, 'unknown_silence', `No silence that holds has the id ${params.id}.`);
        return keep({
          ...found,
          until: now,
          by: authorOf(caller),
          reason: `${found.reason} (ended: ${body.reason.trim()})`,
        });
      },
    }),
  ];
}

const ACKNOWLEDGED_FOR = '4h';
