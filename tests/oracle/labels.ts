import type { Overtaken } from '../../streams/archive/labels.ts';

/** Labels by the sentence alone, request by request and label by label. */

export interface Asked {
  readonly id: string;
  readonly time: number;
  /** Null: the event lacks a key. */
  readonly key: number | null;
}

export interface Told extends Asked {
  readonly fraud: boolean | null;
}

interface Rule {
  readonly from: number;
  readonly to: number;
  readonly asOf: number;
  readonly maturity: number;
  readonly within: number | null;
  readonly which: 'first' | 'last';
}

/** By time, then by the bytes of the id. */
const byTime = (a: Asked, b: Asked) =>
  a.time - b.time || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));

/** The label events that had matured and belong to a request. */
function ownOf(request: Asked, requests: readonly Asked[], labels: readonly Told[], rule: Rule): Told[] {
  return labels
    .filter((label) => label.time + rule.maturity <= rule.asOf)
    .filter((label) => {
      const before = requests.filter(
        ({ key, time }) => key !== null && key === label.key && time <= label.time,
      );
      return before.sort(byTime).at(-1) === request;
    })
    .filter((label) => rule.within === null || label.time - request.time <= rule.within)
    .sort(byTime);
}

const selected = (requests: readonly Asked[], { from, to }: Rule) =>
  requests.filter(({ time }) => time >= from && time < to).sort(byTime);

export function naiveLabels(requests: readonly Asked[], labels: readonly Told[], rule: Rule) {
  let untold = 0;
  const rows = selected(requests, rule).flatMap((request) => {
    const own = ownOf(request, requests, labels, rule);
    const telling = own.filter(({ fraud }) => fraud !== null);
    const label = telling.at(rule.which === 'first' ? 0 : -1);
    if (label === undefined) {
      untold += own.length > 0 ? 1 : 0;
      return [];
    }
    return [{ id: request.id, time: request.time, label: label.fraud === true, labelTime: label.time }];
  });
  return { rows, untold };
}

export function naiveOvertaken(requests: readonly Asked[], labels: readonly Told[], rule: Rule): Overtaken {
  const overtaken = selected(requests, rule).flatMap((request) => {
    const known = requests.filter(({ time }) => time + rule.maturity <= rule.asOf);
    const [next] = known.filter((one) => one.key === request.key && byTime(one, request) > 0).sort(byTime);
    if (request.key === null || next === undefined) return [];
    if (rule.within !== null && next.time - request.time > rule.within) return [];
    // A label before the next request; one at its very time is the next one's.
    const told = labels.some(
      ({ key, time }) => key === request.key && time >= request.time && time < next.time,
    );
    return told ? [] : [{ id: request.id, at: request.time, next: next.id, nextAt: next.time }];
  });
  return { requests: overtaken.length, example: overtaken[0] ?? null };
}
