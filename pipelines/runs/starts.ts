import { type Cron, matchesCron } from '../../config/cron.ts';
import type { Pipeline } from '../../schemas/pipeline.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import type { Start } from './run.ts';

/** An alert that began to fire at a tick. */
export interface FiredAlert {
  readonly rule: string;
  /** Of the change: the cause that the run names. */
  readonly id: string;
  /** Empty where it is of no model. */
  readonly model: string;
}

/** What decides whether an alert starts a run: when alerts last did. Event time, epoch ms. */
export type AlertStarts = ReadonlyMap<string, readonly number[]>;

/** Second precision is all that a person wants of an event time: 2001-04-01T00:00:00Z. */
const stamp = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z').replaceAll(':', '');

/** The same start has the same id: starting it twice starts it once. */
export const runId = (pipeline: string, time: number): string => `${pipeline}@${stamp(time)}`;

/**
 * The runs that begin at a tick: those whose `every` divides it, and those that an alert of this tick starts
 * (of another model's alerts none), `cooldown` after the last that alerts started.
 *
 * @param before event times of runs that alerts started, by pipeline.
 */
export function pipelinesAt(
  pipelines: readonly Pipeline[],
  tick: number,
  fired: readonly FiredAlert[],
  before: AlertStarts = new Map(),
): readonly Start[] {
  return pipelines.flatMap((pipeline): Start[] => {
    const { every, alerts, cooldown } = pipeline.start;
    const start = { id: runId(pipeline.name, tick), pipeline, eventTime: tick, tick };
    if (every !== null && tick % every === 0) return [{ ...start, cause: 'schedule' }];
    const alert = fired.find(
      ({ rule, model }) => alerts.includes(rule) && (model === '' || model === pipeline.model),
    );
    if (alert === undefined) return [];
    const cooling = (before.get(pipeline.name) ?? []).some((time) => time < tick && time > tick - cooldown);
    return cooling ? [] : [{ ...start, cause: `alert ${alert.id}` }];
  });
}

/** A start that was missed is made up for so long afterwards. Wall time. */
const GRACE_MS = HOUR;

/** The last minute, at or before `now` and not long ago, at which the clock says start; null = none. */
export function cronDue(cron: Cron, now: number): number | null {
  const minute = Math.floor(now / MINUTE) * MINUTE;
  for (let time = minute; time > now - GRACE_MS; time -= MINUTE) if (matchesCron(cron, time)) return time;
  return null;
}
