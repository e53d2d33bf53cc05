import type { Played } from './play.ts';

/** What came of one fault: counted of the events from when it began until the next, or for a while after its end. */
export interface Row {
  readonly scenario: string;
  readonly fault: string;
  readonly seed: number;
  readonly met: string;
  readonly events: number;
  readonly lost: number;
  readonly unanswered: number;
  readonly refused: string;
  readonly compared: number;
  readonly offOracle: number;
  /** Of the whole scenario. */
  readonly holds: boolean;
}

/** An event that a fault spoils may be a little older than the fault, or come a little after it. */
const BEFORE_MS = 6_000;
const AFTER_MS = 15_000;

export function rowsOf({ scenario, seed, struck, judge, problems }: Played): Row[] {
  return struck.map(({ name, from, to, met }): Row => {
    const facts = judge({ from: from - BEFORE_MS, to: to + AFTER_MS, most: 500 });
    return {
      scenario,
      seed,
      fault: name,
      met: met ?? 'left out',
      events: facts.events,
      lost: facts.lost,
      unanswered: facts.unanswered,
      refused: Object.entries(facts.refused)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(', '),
      compared: facts.compared,
      offOracle: facts.offOracle.length,
      holds: problems.length === 0,
    };
  });
}

/** Markdown. */
export function table(rows: readonly Row[]): string {
  const head = [
    'scenario',
    'fault',
    'seed',
    'events around it',
    'lost',
    'unanswered',
    'refused',
    'compared',
    'off the oracle',
    'scenario holds',
    'met',
  ];
  const lines = rows.map((row) => [
    row.scenario,
    row.fault,
    row.seed,
    row.events,
    row.lost,
    row.unanswered,
    row.refused || 0,
    row.compared,
    row.offOracle,
    row.holds ? 'yes' : 'NO',
    row.met,
  ]);
  return [head, head.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}
