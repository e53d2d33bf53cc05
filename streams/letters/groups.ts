import { type Judged, OUTCOMES, type Outcome } from './judge.ts';
import type { Letter } from './letter.ts';
import type { ReplayedLetters } from './replay.ts';

/** What becomes of letters of a group: those of imported files do not come back. */
export const GROUP_OUTCOMES = [...OUTCOMES, 'imported'] as const;
export type GroupOutcome = Outcome | 'imported';

/** What an outcome means for whoever reads of it. */
export const MEANINGS: Readonly<Record<GroupOutcome, string>> = {
  live: 'would be accepted',
  late: 'sound, but late by now: they go into history',
  refused: 'would be refused again',
  repeat: 'an event of the same id was accepted, or comes before among the letters',
  done: 'came back before',
  exhausted: 'sent again three times, and refused each time',
  gone: 'cannot come back: cut, or refused by a view or a model alone',
  imported: 'rows of an imported file: mend the file and import it again',
};

/** Letters of one source, reason and outcome together. */
export interface LetterGroup {
  readonly source: string;
  /** Code that they were refused with. */
  readonly reason: string;
  readonly outcome: GroupOutcome;
  /** Code that they would be refused with again. */
  readonly code: string | null;
  readonly letters: number;
  /** Id of an event, or partition and offset of a record that holds none. */
  readonly example: string;
}

/** What a replay of several sources did, together. */
export function totalOf(done: readonly ReplayedLetters[]): {
  readonly sent: number;
  readonly history: number;
  readonly letters: readonly LetterGroup[];
} {
  return {
    sent: done.reduce((sum, one) => sum + one.sent, 0),
    history: done.reduce((sum, one) => sum + one.history, 0),
    letters: done.flatMap(({ source, judged }) => groupLetters(source, judged)),
  };
}

/** In the order of outcomes. */
export function groupLetters(source: string, judged: ReadonlyArray<Judged<Letter>>): LetterGroup[] {
  const groups = Map.groupBy(judged, ({ letter, outcome, code }) => `${letter.code} ${outcome} ${code}`);
  return [...groups.values()]
    .flatMap(([first, ...others]): LetterGroup[] => {
      if (first === undefined) return [];
      const { letter, outcome, code, event } = first;
      const { partition, offset } = letter.place;
      const example = event?.id ?? `${partition}:${offset}`;
      return [{ source, reason: letter.code, outcome, code, letters: 1 + others.length, example }];
    })
    .sort((a, b) => GROUP_OUTCOMES.indexOf(a.outcome) - GROUP_OUTCOMES.indexOf(b.outcome));
}
