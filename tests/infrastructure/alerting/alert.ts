import type { Alert } from '../../../schemas/records/alert.ts';

/** The first change of alert `n`, which fires. */
export function alert(n: number, other: Partial<Alert> = {}): Alert {
  return {
    format: 1,
    id: `f${n}:1`,
    fingerprint: `f${n}`,
    change: 1,
    rule: 'worse',
    severity: 'page',
    state: 'firing',
    kind: 'quality',
    statistic: 'log_loss',
    model: 'late',
    version: 2,
    subject: '',
    slice: `origin=${n}`,
    value: 0.5,
    threshold: 0.3,
    summary: 'It is worse.',
    tick: Date.UTC(2001, 3, 1),
    startedAt: Date.UTC(2001, 2, 31),
    firedAt: Date.UTC(2001, 3, 1),
    endedAt: null,
    at: Date.UTC(2026, 10, 22),
    ...other,
  };
}
