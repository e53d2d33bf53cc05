import { z } from 'zod';
import { type Alerting, type AlertRule, type MeasureScope, SEVERITIES } from '../schemas/alert.ts';
import { MEASURE_KINDS, MEASURES } from '../schemas/monitoring.ts';
import { DAY, SECOND } from '../schemas/time.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { createExpressionCompiler, type ScopeTypes } from './expression.ts';
import { mendOfUnknown, nearest } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import { duration, expression, name } from './texts.ts';

const ruleSchema = z
  .strictObject({
    rule: name('Name of the rule.'),
    on: z.enum(MEASURE_KINDS).describe('Kind of measure it looks at.'),
    statistics: z.array(z.string().min(1)).default([]).describe('Which of that kind. Default: all.'),
    condition: expression(
      'True where something is wrong. Sees statistic, model, version, subject, slice, value, low, high, rows, threshold, fired, previous (value of the window before), and by (champion, shadow or both: who scored it).',
    ),
    for: z.int().min(1).default(1).describe('Windows in a row before the alert fires.'),
    resolve_after: z.int().min(1).default(1).describe('Windows in a row without, before it is resolved.'),
    severity: z.enum(SEVERITIES).default('warning').describe('How bad it is.'),
    summary: z
      .string()
      .min(1)
      .default('{statistic} of {model} {subject} {slice} is {value}.')
      .describe(
        'For a person: {model}, {subject}, {slice}, {statistic}, {value}, {threshold} are filled in.',
      ),
  })
  .describe('A rule: one alert for each model, subject and slice that it is true of.');

const routeSchema = z.strictObject({
  severity: z.array(z.enum(SEVERITIES)).default([]).describe('Default: all.'),
  rules: z.array(name('')).default([]).describe('Default: all.'),
  to: z.array(name('Receiver of the connections.')).min(1).describe('Receivers.'),
});

const deliverySchema = z.strictObject({
  timeout: duration('Longest time that a receiver may take.').default('10s'),
  tries: z.int().min(1).max(100).default(3).describe('A receiver that answers 4xx or 3xx is tried so often.'),
  give_up_after: duration(
    'A receiver that cannot be reached, or answers 5xx, is tried for so long, by the clock on the wall.',
  ).default('1d'),
});

/** What is told to whom. */
export const alertsSchema = z
  .strictObject({
    rules: z.array(ruleSchema).default([]).describe('Rules.'),
    routes: z.array(routeSchema).default([]).describe('Where alerts go; the first that matches counts.'),
    group_by: z
      .array(z.enum(['rule', 'model', 'severity']))
      .default(['rule', 'model'])
      .describe('Alerts of one window that are told together.'),
    delivery: deliverySchema.prefault({}).describe('When telling a receiver is given up.'),
  })
  .describe('Alerts.');

export type AlertsDeclaration = z.output<typeof alertsSchema>;

export const NO_ALERTS: Alerting = {
  rules: [],
  routes: [],
  groupBy: ['rule', 'model'],
  delivery: { timeout: 10 * SECOND, tries: 3, giveUpAfter: DAY },
};

const ms = (text: string) => parseDuration(text) ?? 0;

const SCOPE: ScopeTypes = {
  statistic: 'string',
  model: 'string',
  version: 'number',
  subject: 'string',
  slice: 'string',
  value: 'number',
  low: 'number',
  high: 'number',
  rows: 'number',
  threshold: 'number',
  fired: 'bool',
  previous: 'number',
  by: 'string',
};

const FILLED = ['model', 'subject', 'slice', 'statistic', 'value', 'threshold'];

/** Braces around anything else are part of the sentence; a name that is nearly one of these is a slip. */
function reportMisspelt(summary: string, place: Place, reporter: Reporter): void {
  for (const { 1: name = '', index } of summary.matchAll(/\{(\w+)\}/g)) {
    const near = FILLED.includes(name) ? null : nearest(name, FILLED);
    if (near !== null)
      reporter.report(place, `'{${name}}' is filled in with nothing.`, `Did you mean '{${near}}'?`, {
        offset: index,
      });
  }
}

/** `receivers` are the names of the connections; null where these are broken, which is reported there. */
export function compileAlerts(
  declared: AlertsDeclaration,
  place: Place,
  receivers: readonly string[] | null,
  reporter: Reporter,
): Alerting {
  const compiler = createExpressionCompiler(SCOPE);
  const names = declared.rules.map((rule) => rule.rule);
  const rules = declared.rules.flatMap((rule, index): AlertRule[] => {
    const at = inside(place, 'rules', index);
    if (names.indexOf(rule.rule) < index)
      reporter.report(
        inside(at, 'rule'),
        `Two rules have the name '${rule.rule}'.`,
        'Give one another name.',
      );
    const known: readonly string[] = MEASURES[rule.on];
    for (const [i, statistic] of rule.statistics.entries())
      if (!known.includes(statistic))
        reporter.report(
          inside(at, 'statistics', i),
          `Of '${rule.on}' no '${statistic}' is measured.`,
          mendOfUnknown(statistic, known),
        );
    reportMisspelt(rule.summary, inside(at, 'summary'), reporter);
    const compiled = compileAt(reporter, compiler, inside(at, 'condition'), rule.condition, 'bool');
    if (compiled === null) return [];
    return [
      {
        name: rule.rule,
        kind: rule.on,
        statistics: rule.statistics,
        condition: (measure: MeasureScope) => compiled.evaluate(measure) as boolean | null,
        forWindows: rule.for,
        resolveAfter: rule.resolve_after,
        severity: rule.severity,
        summary: rule.summary,
      },
    ];
  });
  for (const [index, route] of declared.routes.entries()) {
    const at = inside(place, 'routes', index);
    for (const [i, one] of route.to.entries())
      if (receivers !== null && !receivers.includes(one))
        reporter.report(
          inside(at, 'to', i),
          `There is no receiver '${one}' in connections.yaml.`,
          mendOfUnknown(one, receivers),
        );
    for (const [i, one] of route.rules.entries())
      if (!names.includes(one))
        reporter.report(inside(at, 'rules', i), `There is no rule '${one}'.`, mendOfUnknown(one, names));
  }
  const { delivery } = declared;
  if (ms(delivery.timeout) === 0)
    reporter.report(
      inside(place, 'delivery', 'timeout'),
      'A receiver that may take no time is never told.',
      'Say 10s.',
    );
  return {
    rules,
    routes: declared.routes.map((route) => ({
      severities: route.severity.length === 0 ? SEVERITIES : route.severity,
      rules: route.rules,
      receivers: route.to,
    })),
    groupBy: declared.group_by,
    delivery: {
      timeout: ms(delivery.timeout),
      tries: delivery.tries,
      giveUpAfter: ms(delivery.give_up_after),
    },
  };
}
