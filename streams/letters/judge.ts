import { afterEvent, checkTime, type Progress } from '../../processors/lateness.ts';
import type { DecodedRecord } from '../../processors/segment.ts';
import { createValidator } from '../../processors/validate.ts';
import { cappedTime, type EventRecord } from '../../schemas/event.ts';
import type { Source } from '../../schemas/project.ts';

/**
 * What would become of a dead letter's record if it came again now: accepted; sound but below its partition's watermark (only
 * history can take it); refused again; a repeat of an event that was accepted, or that comes before it among the letters; gone,
 * because the record was cut, or because a view or a model refused and the event itself was accepted.
 */
export const OUTCOMES = ['live', 'late', 'refused', 'repeat', 'gone'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** A dead letter with its record read by the rules of now. */
export interface ReadLetter {
  readonly partition: number;
  /** Null where the letter has no whole record. */
  readonly decoded: Pick<DecodedRecord<unknown>, 'event' | 'rejected' | 'clock'> | null;
}

export interface Judged<L extends ReadLetter> {
  readonly letter: L;
  readonly outcome: Outcome;
  /** Code of the refusal, where it is refused again. */
  readonly code: string | null;
  readonly event: EventRecord | null;
}

export interface JudgeOptions {
  readonly source: Source;
  /** Progress of ingest by partition; null where it has none. */
  readonly progress: ReadonlyArray<Progress | null>;
  /** Ids of events that the archive holds. */
  readonly accepted: ReadonlySet<string>;
  /** Wall time, epoch ms: when the records would arrive. */
  readonly now: number;
}

/**
 * Judges letters as ingest would if they came now, the earliest event of a partition first, so that none of them makes another
 * late. Changes nothing. Answers in the order of `letters`.
 */
export function judgeLetters<L extends ReadLetter>(
  letters: readonly L[],
  options: JudgeOptions,
): Judged<L>[] {
  const { source, accepted, now } = options;
  const validate = createValidator(source);
  const progress = [...options.progress];
  const seen = new Set(accepted);
  const judged = new Map<L, Judged<L>>();
  const timeOf = ({ decoded }: L) => decoded?.event?.time ?? Number.POSITIVE_INFINITY;
  const inTime = [...letters].sort((a, b) => (timeOf(a) === timeOf(b) ? 0 : timeOf(a) - timeOf(b)));
  for (const letter of inTime) {
    const event = letter.decoded?.event ?? null;
    const say = (outcome: Outcome, code: string | null = null) =>
      judged.set(letter, { letter, outcome, code, event });
    if (letter.decoded === null) say('gone');
    else if (event === null) say('refused', letter.decoded.rejected?.code ?? 'bad_clock');
    else if (seen.has(event.id)) say('repeat');
    else {
      const before = progress[letter.partition] ?? null;
      const rejected = validate(event) ?? (before === null ? null : checkTime(source, before, event, now));
      if (rejected !== null && rejected.code !== 'late') {
        say('refused', rejected.code);
        continue;
      }
      seen.add(event.id);
      if (rejected === null && before !== null)
        progress[letter.partition] = afterEvent(before, cappedTime(event.time, now));
      say(rejected === null ? 'live' : 'late');
    }
  }
  return letters.flatMap((letter) => judged.get(letter) ?? []);
}
