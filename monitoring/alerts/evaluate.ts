import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { evaluateTick } from '../../models/alerting/evaluate.ts';
import { MeasureBook } from '../../models/alerting/windows.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { DAY } from '../../schemas/time.ts';
import type { Codecs } from '../../streams/runtime/codecs.ts';
import { readMeasures } from '../measures.ts';
import { AlertLog } from './log.ts';

export interface AlertDeps {
  readonly project: Pick<Project, 'prefix' | 'alerting' | 'models'>;
  readonly kafka: Kafka;
  readonly warehouse: Pick<Warehouse, 'query'>;
  readonly codecs: Pick<Codecs, 'alerts'>;
  readonly clock: Pick<Clock, 'now'>;
}

export interface AlertEvaluator {
  /**
   * Judges a tick and appends what changed to the alerts topic; resolves once the log holds it. Answers with every
   * change of the tick, those included that an earlier try had appended: so a tick may be judged again after a crash.
   * `measures`: all that were measured at this tick. Ticks ascend, a repeated one apart. Throws KafkaError, WarehouseError.
   */
  evaluate(tick: number, measures: readonly Measure[]): Promise<readonly Alert[]>;
  close(): Promise<void>;
}

/**
 * Rules over measures -> alerts topic. Between ticks it remembers only what it has read of the topic: which windows
 * came before is asked of the measures' table each time, for another process may have judged ticks meanwhile.
 */
export function createAlertEvaluator({
  project,
  kafka,
  warehouse,
  codecs,
  clock,
}: AlertDeps): AlertEvaluator {
  const { rules } = project.alerting;
  const kinds = [...new Set(rules.map(({ kind }) => kind))];
  const log = new AlertLog({ kafka, codec: codecs.alerts, prefix: project.prefix });
  const span = lookback(project);

  return {
    async evaluate(tick, measures) {
      await log.catchUp();
      const book = new MeasureBook(rules);
      if (kinds.length > 0)
        book.add(
          await readMeasures(warehouse, project.prefix, { kinds, endAfter: tick - span, before: tick }),
        );
      book.add(measures.map((measure) => (measure.tick === tick ? measure : { ...measure, tick })));
      book.prune(tick - span);
      const earlier = log.before(tick);
      return log.append(evaluateTick({ rules, measures: book.measures(), earlier, tick, at: clock.now() }));
    },
    close: () => log.close(),
  };
}

/** Judges one tick by itself. */
export async function evaluateAlerts(
  deps: AlertDeps,
  tick: number,
  measures: readonly Measure[],
): Promise<readonly Alert[]> {
  const evaluator = createAlertEvaluator(deps);
  try {
    return await evaluator.evaluate(tick, measures);
  } finally {
    await evaluator.close();
  }
}

/**
 * Event time before a tick in which windows count: the longest row that a rule waits for and the window before it,
 * after the time that labels may take. Windows that have no answer for longer than that are forgotten.
 */
function lookback({ alerting, models }: Pick<Project, 'alerting' | 'models'>): number {
  const windows =
    2 + Math.max(0, ...alerting.rules.map((rule) => Math.max(rule.forWindows, rule.resolveAfter)));
  const every = Math.max(...models.map(({ monitoring }) => monitoring.every), models.length === 0 ? DAY : 0);
  return (
    windows * every +
    Math.max(0, ...models.map(({ label, monitoring }) => label.maturity + monitoring.labelWait))
  );
}
