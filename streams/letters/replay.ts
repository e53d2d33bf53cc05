import { randomUUID } from 'node:crypto';
import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { headers, rawTopic } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { ReplayRunning } from '../replay/errors.ts';
import { ReplayLock } from '../replay/lock.ts';
import { againText, readAgain } from '../runtime/again-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { boundsOf, ofAnybody, readTopic } from '../runtime/topic.ts';
import { writeHistory } from './history.ts';
import { inTime, type Judged } from './judge.ts';
import { type Entry, Ledger, placeOf } from './ledger.ts';
import type { Fix, Letter } from './letter.ts';
import { type LookDeps, lookAtLetters } from './look.ts';
import type { LetterSelection } from './select.ts';

export interface LetterReplay {
  readonly source: Source;
  readonly selection: LetterSelection;
  readonly fix: Fix | null;
  /** Why, and whose decision it is. */
  readonly reason: string;
  readonly who: string;
}

/** What came of a source's letters: the verdicts, carried out. */
export interface ReplayedLetters {
  readonly source: string;
  readonly judged: ReadonlyArray<Judged<Letter>>;
  readonly sent: number;
  readonly history: number;
}

/** Letters cannot come back now: nothing was sent. */
export class LettersBusy extends MillraceError {
  readonly code = 'letters_busy';
  readonly retriable = true;
}

export type LettersDeps = Omit<LookDeps, 'now'> & { readonly clock: Clock };

const LETTERS_A_SEND = 500;
const BYTES_A_SEND = 8_388_608;

/**
 * Sends the letters that would be accepted now to the raw topic, under their own ids, and puts those that are late into history. Each comes
 * back once: the ledger says which have, and a crash leaves in the raw topic what it sent. Throws LettersBusy where a replay runs.
 */
export async function replayLetters(
  deps: LettersDeps,
  replays: readonly LetterReplay[],
): Promise<ReplayedLetters[]> {
  const { clock, project, store } = deps;
  const name = `dead-letters-${randomUUID().slice(0, 8)}`;
  const lock = await ReplayLock.acquire({ store, clock }, project.prefix, name).catch((error: unknown) => {
    if (!(error instanceof ReplayRunning)) throw error;
    throw new LettersBusy(
      `A replay of events or of dead letters runs under the prefix ${project.prefix}: nothing was sent. Try again when it has ended; after a crash its lock expires within 10 s.`,
      { cause: error },
    );
  });
  try {
    const done: ReplayedLetters[] = [];
    for (const replay of replays) done.push(await replaySource(deps, replay, () => lock.hold()));
    return done;
  } finally {
    await lock.release();
  }
}

async function replaySource(
  deps: LettersDeps,
  replay: LetterReplay,
  mayWrite: () => Promise<void>,
): Promise<ReplayedLetters> {
  const { clock, project, warehouse } = deps;
  const { source, selection, fix } = replay;
  const ledger = new Ledger(warehouse, project.prefix, source.name);
  await settle(deps, source, ledger);
  const judged = await lookAtLetters({ ...deps, now: clock.now() }, source, selection, fix);
  const ordered = inTime(judged.map(({ letter, outcome }) => ({ ...letter, outcome })));
  const live = ordered.filter(({ outcome }) => outcome === 'live');
  for (const some of batched(live)) await send(deps, replay, ledger, some, mayWrite);
  const late = judged.flatMap(({ letter, outcome, event }) =>
    outcome === 'late' && event !== null ? [{ letter, event }] : [],
  );
  const now = clock.now();
  await writeHistory(deps, source, late, now);
  await ledger.write(
    late.map(({ letter }) => entryOf(replay, letter, 'history', { rawPartition: -1, rawFrom: 0 })),
    now,
  );
  return { source: source.name, judged, sent: live.length, history: late.length };
}

/** In order; a batch holds one letter at least. */
function batched(letters: readonly Letter[]): Letter[][] {
  const batches: Letter[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const letter of letters) {
    const size = letter.record?.value?.byteLength ?? 0;
    const last = batches.at(-1);
    if (last === undefined || last.length >= LETTERS_A_SEND || bytes + size > BYTES_A_SEND) {
      batches.push([letter]);
      bytes = size;
    } else {
      last.push(letter);
      bytes += size;
    }
  }
  return batches;
}

/** Letters that an earlier replay began: the raw topic says which of them it sent. */
async function settle(
  { kafka, project, clock }: Pick<LettersDeps, 'kafka' | 'project' | 'clock'>,
  source: Source,
  ledger: Ledger,
): Promise<void> {
  const begun = await ledger.begun();
  if (begun.size === 0) return;
  const topic = rawTopic(project.prefix, source);
  const bounds = await boundsOf(kafka, topic);
  const from = bounds.map(({ end }) => end);
  for (const { rawPartition, rawFrom } of begun.values()) {
    const end = bounds[rawPartition]?.end ?? 0;
    // Beyond the end: the topic was made again.
    from[rawPartition] = Math.min(from[rawPartition] ?? 0, rawFrom > end ? 0 : rawFrom);
  }
  const sent: Entry[] = [];
  await readTopic(
    ofAnybody(kafka),
    topic,
    bounds,
    (record) => {
      const again = readAgain(record);
      const entry = again === null ? undefined : begun.get(placeOf(again));
      if (entry !== undefined) sent.push({ ...entry, state: 'sent' });
    },
    (partition) => from[partition] ?? 0,
  );
  await ledger.write(sent, clock.now());
}

async function send(
  deps: LettersDeps,
  replay: LetterReplay,
  ledger: Ledger,
  letters: readonly Letter[],
  mayWrite: () => Promise<void>,
): Promise<void> {
  const { clock, kafka, project, codecs } = deps;
  const bounds = await boundsOf(kafka, rawTopic(project.prefix, replay.source));
  const begun = letters.map((letter) =>
    entryOf(replay, letter, 'begun', {
      rawPartition: letter.partition,
      rawFrom: bounds[letter.partition]?.end ?? 0,
    }),
  );
  const begunAt = clock.now();
  await ledger.write(begun, begunAt);
  const producer = await kafka.producer();
  try {
    await mayWrite();
    await producer.send(letters.map((letter) => recordOf(project, replay.source, codecs, letter, begunAt)));
  } finally {
    await producer.close();
  }
  await ledger.write(
    begun.map((entry) => ({ ...entry, state: 'sent' as const })),
    Math.max(clock.now(), begunAt + 1),
  );
}

function entryOf(
  { reason, who }: LetterReplay,
  letter: Letter,
  state: Entry['state'],
  raw: Pick<Entry, 'rawPartition' | 'rawFrom'>,
): Entry {
  const { place, decoded, tries, fix } = letter;
  return { ...place, state, eventId: decoded?.event?.id ?? '', tries: tries + 1, ...raw, fix, reason, who };
}

/** The record of a letter as it goes to the raw topic: the bytes that came once, or those of the mended event. */
function recordOf(
  project: Project,
  source: Source,
  codecs: Pick<Codecs, 'encodeRaw'>,
  letter: Letter,
  now: number,
): OutgoingRecord {
  const { record, mended, place, tries, appendTime, arrivedAt, partition } = letter;
  const { [headers.place]: _, ...kept } = record?.headers ?? {};
  return {
    topic: rawTopic(project.prefix, source),
    partition,
    key: record?.key ?? null,
    value: mended === null ? (record?.value ?? null) : codecs.encodeRaw(source.name, mended),
    headers: {
      ...kept,
      [headers.letter]: againText({ ...place, tries: tries + 1, appendTime }),
      ...(mended === null ? {} : { [headers.arrivedAt]: String(arrivedAt ?? now) }),
    },
  };
}
