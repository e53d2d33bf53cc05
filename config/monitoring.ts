import type { EventExpression } from '../schemas/event.ts';
import type { Monitoring, Slice } from '../schemas/monitoring.ts';
import type { Source } from '../schemas/project.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { createExpressionCompiler } from './expression.ts';
import { matchesGlob } from './glob.ts';
import type { MonitoringDeclaration } from './monitoring-declaration.ts';
import { mendOfUnknown } from './nearest.ts';
import { compileAt, inside, type Reporter } from './reporter.ts';
import { scopeOf } from './source.ts';

const ms = (text: string) => parseDuration(text) ?? 0;

/** `features` are the names of the model's vector. */
export function compileMonitoring(
  declared: MonitoringDeclaration,
  place: Place,
  request: Source,
  features: readonly string[],
  reporter: Reporter,
): Monitoring {
  const compiler = createExpressionCompiler(scopeOf(request.fields));
  const slices = Object.entries(declared.slices).flatMap(([name, slice]): Slice[] => {
    const compiled = compileAt(reporter, compiler, inside(place, 'slices', name, 'by'), slice.by, 'string');
    return compiled === null
      ? []
      : [
          {
            name,
            by: slice.by,
            evaluate: compiled.evaluate as EventExpression<string>,
            minRows: slice.min_rows,
            atMost: slice.at_most,
          },
        ];
  });
  const { drift } = declared;
  const calendar = drift.calendar.flatMap((pattern, index) => {
    const found = features.filter((feature) => matchesGlob(feature, pattern));
    if (found.length === 0)
      reporter.report(
        inside(place, 'drift', 'calendar', index),
        `'${pattern}' is no feature of the model.`,
        mendOfUnknown(pattern, features),
      );
    return found;
  });
  const every = ms(declared.every);
  for (const [key, least] of [
    ['every', 60_000],
    ['reference', every],
  ] as const)
    if (ms(declared[key]) < least)
      reporter.report(
        inside(place, key),
        `'${key}' is shorter than ${key === 'every' ? 'a minute' : 'one window'}.`,
        key === 'every' ? 'Say 1h or 1d.' : `Say ${declared.every} or more.`,
      );
  return {
    every,
    reference: ms(declared.reference),
    labelWait: ms(declared.label_wait),
    confidence: declared.confidence,
    slices,
    drift: {
      statistic: drift.statistic,
      minEffect: drift.min_effect,
      minCount: drift.min_count,
      falseDiscoveryRate: drift.false_discovery_rate,
      falseAlarmsPerMonth: drift.false_alarms_per_month,
      calendar: [...new Set(calendar)],
    },
  };
}
