import { afterEvent, checkTime, type Progress } from '../../processors/lateness.ts';
import type { DecodedRecord } from '../../processors/segment.ts';
import { createValidator } from '../../processors/validate.ts';
import { cappedTime, type EventRecord } from '../../schemas/event.ts';
import type { Source } from '../../schemas/project.ts';

/**
 * What would become of a dead letter's record if it came again now: accepted; sound but below its partition's watermark (only
 * history can take it); refused again; a repeat of an event that was accepted, or that comes before it among the letters; sent again
 * already, or put into history; sent again and refused too often; gone, because the record was cut, or because a view or a model
 * refused and the event itself was accepted.
 */
export const OUTCOMES = ['live', 'late', 'refused', 'repeat', 'done', 'exhausted', 'gone'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** So often an event is sent again; one that is refused each time needs another cure. */
export const MOST_TRIES = 3;

/** A dead letter with its record read by the rules of now. */
export interface ReadLetter {
  /** Partition that its record would go to. */
  readonly partition: number;
  /** Null where the letter has no whole record. */
  readonly decoded: Pick<DecodedRecord<unknown>, 'event' | 'rejected' | 'clock'> | null;
  /** When its record would count as arrived, epoch ms; null for the time of its sending. */
  readonly arrivedAt: number | null;
  /** How often its event was sent again before. */
  readonly tries: number;
  /** It was sent again, or put into history. */
  readonly done: boolean;
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

type Verdict = Pick<Judged<ReadLetter>, 'outcome' | 'code'>;

/**
 * Judges letters as ingest would if they came now, the earliest event of a partition first, so that none of them makes another
 * late. Changes nothing. Answers in the order of `letters`.
 */
export function judgeLetters<L extends ReadLetter>(
  letters: readonly L[],
  options: JudgeOptions,
): Judged<L>[] {
  const judge = createJudge(options);
  const verdicts = new Map<L, Verdict>();
  for (const letter of inTime(letters)) verdicts.set(letter, judge(letter));
  return letters.flatMap((letter) => {
    const verdict = verdicts.get(letter);
    return verdict === undefined ? [] : [{ letter, ...verdict, event: letter.decoded?.event ?? null }];
  });
}

/** The order in which letters are judged and sent: by event time, what has none last. */
export function inTime<L extends ReadLetter>(letters: readonly L[]): L[] {
  const timeOf = ({ decoded }: L) => decoded?.event?.time ?? Number.POSITIVE_INFINITY;
  return [...letters].sort((a, b) => (timeOf(a) === timeOf(b) ? 0 : timeOf(a) - timeOf(b)));
}

function createJudge({ source, accepted, now, ...options }: JudgeOptions): (letter: ReadLetter) => Verdict {
  const validate = createValidator(source);
  const progress = [...options.progress];
  const seen = new Set(accepted);
  const say = (outcome: Outcome, code: string | null = null): Verdict => ({ outcome, code });
  return ({ decoded, done, tries, partition, arrivedAt }) => {
    if (decoded === null) return say('gone');
    if (done) return say('done');
    const { event } = decoded;
    if (event === null) return say('refused', decoded.rejected?.code ?? 'bad_clock');
    if (seen.has(event.id)) return say('repeat');
    const before = progress[partition] ?? null;
    const arrival = arrivedAt ?? now;
    const rejected = validate(event) ?? (before === null ? null : checkTime(source, before, event, arrival));
    if (rejected !== null && rejected.code !== 'late') return say('refused', rejected.code);
    if (tries >= MOST_TRIES) return say('exhausted');
    seen.add(event.id);
    if (rejected !== null) return say('late');
    if (before !== null) progress[partition] = afterEvent(before, cappedTime(event.time, arrival));
    return say('live');
  };
}
