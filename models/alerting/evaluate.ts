import { type AlertRule, SOURCE_PAUSED_RULE } from '../../schemas/alert.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import type { Alert, AlertState } from '../../schemas/records/alert.ts';
import { changeId, fingerprintOf } from './identity.ts';
import { fillSummary } from './summary.ts';
import { type Series, seriesOf, type Window } from './windows.ts';

/** The newest windows of a series that agree, those without an answer left out. */
interface Run {
  readonly holds: boolean;
  readonly length: number;
  readonly first: Window;
  readonly last: Window;
}

export interface Evaluation {
  readonly rules: readonly AlertRule[];
  /** Everything measured of the windows that still count, as of `tick`. */
  readonly measures: readonly Measure[];
  /** The last change before `tick` of each alert, by fingerprint. */
  readonly earlier: ReadonlyMap<string, Alert>;
  /** Epoch ms of event time. */
  readonly tick: number;
  /** Wall clock, epoch ms. */
  readonly at: number;
}

/**
 * The changes of a tick. A function of its arguments alone, whatever the order of the measures: a process that does
 * the tick again after a crash makes the same changes, with the same ids.
 *
 *     nothing, resolved --holds--> pending --holds forWindows in a row--> firing
 *     pending --does not hold--> resolved
 *     firing --does not hold resolveAfter in a row--> resolved
 *
 * Windows without an answer are passed over: they neither lengthen nor break a row, and where there are no others the
 * alert stays what it is. An alert whose rule is gone is resolved, for nobody would ever do it.
 */
export function evaluateTick({ rules, measures, earlier, tick, at }: Evaluation): readonly Alert[] {
  const changes = rules.flatMap((rule) =>
    seriesOf(rule, measures).flatMap((series): Alert[] => {
      const fingerprint = fingerprintOf({ rule: rule.name, ...series });
      const change = changeOf(rule, series, fingerprint, earlier.get(fingerprint) ?? null, tick, at);
      return change === null ? [] : [change];
    }),
  );
  // Ingest resolves its own.
  const names = new Set([SOURCE_PAUSED_RULE, ...rules.map(({ name }) => name)]);
  for (const alert of earlier.values())
    if (!names.has(alert.rule) && alert.state !== 'resolved') changes.push(withdrawn(alert, tick, at));
  return changes.sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : a.fingerprint > b.fingerprint ? 1 : 0));
}

function changeOf(
  rule: AlertRule,
  { model, subject, slice, windows }: Series,
  fingerprint: string,
  before: Alert | null,
  tick: number,
  at: number,
): Alert | null {
  const run = newestRun(windows);
  if (run === null) return null;
  const state = nextState(rule, before?.state ?? 'resolved', run);
  if (state === null) return null;
  const { measure } = run.last;
  const change = (before?.change ?? 0) + 1;
  const begun = before === null || before.state === 'resolved';
  return {
    format: 1,
    id: changeId(fingerprint, change),
    fingerprint,
    change,
    rule: rule.name,
    severity: rule.severity,
    state,
    kind: rule.kind,
    statistic: measure.statistic,
    model,
    version: measure.version,
    subject,
    slice,
    value: measure.value,
    threshold: measure.threshold,
    // The rule's sentence tells of what is wrong; of what is over it would be untrue.
    summary: state === 'resolved' ? `Over: ${before?.summary ?? ''}` : fillSummary(rule.summary, measure),
    tick,
    startedAt: begun ? run.first.from : before.startedAt,
    firedAt: state === 'firing' ? tick : begun ? null : before.firedAt,
    endedAt: state === 'resolved' ? run.first.from : null,
    at,
  };
}

function nextState(rule: AlertRule, state: AlertState, run: Run): AlertState | null {
  if (run.holds) {
    if (state === 'firing') return null;
    if (run.length >= rule.forWindows) return 'firing';
    return state === 'resolved' ? 'pending' : null;
  }
  if (state === 'pending') return 'resolved';
  return state === 'firing' && run.length >= rule.resolveAfter ? 'resolved' : null;
}

function newestRun(windows: readonly Window[]): Run | null {
  const told = windows.filter(({ holds }) => holds !== null);
  const last = told.at(-1);
  if (last === undefined) return null;
  const holds = last.holds === true;
  const length = told.length - 1 - told.findLastIndex((one) => one.holds !== last.holds);
  const first = told[told.length - length] ?? last;
  return { holds, length, first, last };
}

function withdrawn(alert: Alert, tick: number, at: number): Alert {
  const change = alert.change + 1;
  return {
    ...alert,
    id: changeId(alert.fingerprint, change),
    change,
    state: 'resolved',
    summary: `The rule ${alert.rule} is not declared any more.`,
    tick,
    endedAt: tick,
    at,
  };
}
