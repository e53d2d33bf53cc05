import { describe, expect, it } from 'vitest';
import { historyOf } from '../../../infrastructure/registry/history.ts';
import type { ModelVersion } from '../../../schemas/records/model-version.ts';
import { DAY } from '../../../schemas/time.ts';
import { PairedDays } from './figures.ts';
import { happenedTo, promotionsOf } from './happened.ts';

const MONDAY = Date.UTC(2001, 1, 12);

/** A log as the registry writes it: each change names the one before it. */
function logOf(...changes: ReadonlyArray<Partial<ModelVersion>>): ModelVersion[] {
  return changes.map((change, i) => ({
    format: 1,
    model: 'm',
    change: i + 1,
    id: `c${i + 1}`,
    after: i === 0 ? '' : `c${i}`,
    version: 1,
    state: 'challenger',
    artefact: '',
    location: '',
    layout: '',
    at: 0,
    by: 'pipeline retrain',
    reason: `reason ${i + 1}`,
    evidence: '{}',
    former: null,
    effectiveFrom: null,
    run: null,
    ...change,
  }));
}

const evidence = (test: string, code: string) => JSON.stringify({ test, code });

describe('what happened to a model', () => {
  const history = historyOf(
    'm',
    logOf(
      { version: 1, state: 'champion' },
      { version: 2, effectiveFrom: MONDAY, run: 'r1' },
      { version: 3, effectiveFrom: MONDAY + 7 * DAY },
      { version: 2, state: 'champion', former: 'challenger', effectiveFrom: MONDAY + 8 * DAY },
      {
        version: 3,
        state: 'retired',
        effectiveFrom: MONDAY + 9 * DAY,
        evidence: evidence('shadow', 'small_gain'),
      },
      {
        version: 1,
        state: 'champion',
        former: 'retired',
        effectiveFrom: MONDAY + 10 * DAY,
        evidence: evidence('guard', 'worse'),
      },
    ),
  );
  const gate = { pass: false, sentence: 'Failed.', evidence: { objections: [{ code: 'worse' }] } };
  const run = (id: string, cause: string, result: object) => ({
    id,
    pipeline: 'retrain',
    eventTime: MONDAY + 2 * DAY,
    cause,
    state: 'refused',
    detail: '',
    steps: [{ step: 'gate', state: 'done', attempts: 1, ms: 1, result: JSON.stringify(result), error: '' }],
  });
  const happened = happenedTo(history, [run('r1', 'alert a', { pass: true }), run('r2', 'schedule', gate)]);

  it('is told in the order of event time, the first champion apart', () => {
    expect(happened.map(({ short }) => short)).toEqual([
      'v2 shadows, after an alert',
      'refused at the gate: worse',
      'v3 shadows',
      'v2 promoted',
      'v3 refused in shadow: small_gain',
      'rolled back to v1: worse',
    ]);
  });

  it('counts a rollback as no promotion', () => {
    expect(promotionsOf(history)).toEqual([{ at: MONDAY + 8 * DAY, version: 2, before: 1 }]);
  });
});

describe('paired losses', () => {
  const [a, b] = [Float64Array.of(0.2, 0.4, 0.6), Float64Array.of(0.3, 0.4, 0.5)];
  const [labels, times] = [Uint8Array.of(0, 1, 1), Float64Array.of(0, 1, 2 * DAY)];

  it('are the same whether the rows come at once or bit by bit', () => {
    const whole = new PairedDays().add(a, b, labels, times);
    const parts = new PairedDays();
    for (let i = 0; i < 3; i += 1)
      parts.add(
        a.subarray(i, i + 1),
        b.subarray(i, i + 1),
        labels.subarray(i, i + 1),
        times.subarray(i, i + 1),
      );
    expect(parts.difference()).toEqual(whole.difference());
  });

  it('are nothing between a version and itself', () => {
    expect(new PairedDays().add(a, a, labels, times).difference()).toEqual({ value: 0, low: 0, high: 0 });
  });
});
