import { iso } from '../runtime/iso.ts';
import type { Found } from './books.ts';
import type { HeadAudit } from './heads.ts';
import type { ModelAudit } from './models.ts';
import type { RefusalAudit } from './refusals.ts';
import type { RefusedAudit } from './requests.ts';
import type { Misplaced } from './rewinds.ts';
import type { SkewAudit } from './skew.ts';
import type { SourceAudit } from './sources.ts';
import type { ViewAudit } from './views.ts';
import type { Wait } from './waits.ts';

export interface Audits {
  readonly sources: readonly SourceAudit[];
  readonly models: readonly ModelAudit[];
  readonly views: readonly ViewAudit[];
  readonly refusals: readonly RefusalAudit[];
  readonly heads: readonly HeadAudit[];
  readonly refused: readonly RefusedAudit[];
  readonly skews: readonly SkewAudit[];
  readonly misplaced: readonly Misplaced[];
  readonly waits: readonly Wait[];
}

/** First places of a finding, `partition:offset`, and since when. */
function named({ count, places, since = null }: Found): string {
  const first = places.slice(0, 3).map(({ partition, offset }) => `${partition}:${offset}`);
  const where = first.length === 0 ? '' : `raw ${first.join(', ')}${count > first.length ? ', …' : ''}`;
  const when = since === null ? '' : `since ${iso(since)}`;
  return [where, when].filter((part) => part !== '').join('; ');
}

/** Sentences of one kind. */
class Sentences {
  readonly list: string[] = [];

  /** `sentence` goes on from the count; `advice` says what to do. */
  found(found: Found, sentence: string, advice = ''): void {
    if (found.count === 0) return;
    const where = named(found);
    this.list.push(
      `${found.count} ${sentence}${where === '' ? '' : ` (${where})`}.${advice === '' ? '' : ` ${advice}`}`,
    );
  }

  counted(count: number, sentence: string, advice = ''): void {
    this.found({ count, places: [] }, sentence, advice);
  }
}

/** What does not add up, what is still on its way, and what is allowed and worth knowing, in a sentence each. */
export function findingsOf(audits: Audits): {
  readonly wrong: readonly string[];
  readonly open: readonly string[];
  readonly notes: readonly string[];
} {
  const wrong = new Sentences();
  const open = new Sentences();
  const notes = new Sentences();
  for (const one of audits.sources) {
    sayOfSource(one, wrong, open);
    sayOfStamps(one, wrong, notes);
  }
  for (const one of audits.models) sayOfModel(one, wrong, open);
  for (const one of audits.views) sayOfView(one, wrong, open);
  for (const one of audits.refusals) sayOfRefusals(one, { wrong, open, notes });
  for (const one of audits.skews) sayOfSkew(one, notes);
  for (const one of audits.heads) sayOfHeads(one, wrong, notes);
  for (const one of audits.refused) sayOfRefused(one, wrong, notes);
  for (const one of audits.misplaced) wrong.list.push(sentenceOf(one));
  for (const { sentence } of audits.waits) open.list.push(sentence);
  return { wrong: wrong.list, open: open.list, notes: notes.list };
}

function sayOfSource(one: SourceAudit, wrong: Sentences, open: Sentences): void {
  const { source, missing, missingRows, double, waiting, unarchived, letters, holes } = one;
  wrong.found(missing, `raw records of ${source} are neither accepted nor refused`);
  wrong.found(missingRows, `records of ${source} stand in a topic and in no table`);
  wrong.found(double, `raw records of ${source} stand twice: accepted and refused, or in several rows`);
  wrong.found(
    holes.lost,
    `raw offsets of ${source} left the raw topic without a trace in any topic or table`,
    'They were deleted before ingest came to them, or lost: send them again, and let the raw topic keep records for longer than an outage may last.',
  );
  wrong.counted(letters.missing, `dead letters of views about ${source} stand in the topic and in no table`);
  open.counted(waiting, `raw records of ${source} wait for ingest`);
  open.counted(unarchived, `records of ${source} wait for the archive`);
  open.counted(letters.unarchived, `dead letters of views about ${source} wait for the archive`);
}

function sayOfStamps({ source, stamps }: SourceAudit, wrong: Sentences, notes: Sentences): void {
  if (stamps.still)
    wrong.list.push(
      `The raw topic of ${source} keeps its producers' times (message.timestamp.type CreateTime): an event's arrival is what its producer says, and one fast clock makes everybody else's events late. Run 'millrace apply', which sets LogAppendTime or says who must.`,
    );
  notes.found(
    stamps.byProducers,
    `raw records of ${source} have their producers' own times: nothing bounded the times of their events`,
  );
}

function sayOfModel(one: ModelAudit, wrong: Sentences, open: Sentences): void {
  const { model, missing, missingRows, double, waiting, unarchived, shadows } = one;
  wrong.found(missing, `requests have no answer of ${model}`);
  wrong.found(missingRows, `answers of ${model} stand in the topic and in no table`);
  wrong.found(double, `answers of ${model} stand in several rows, or have no request`);
  open.counted(waiting, `requests wait for ${model}`);
  open.counted(unarchived, `answers of ${model} wait for the archive`);
  for (const shadow of shadows) {
    const who = `version ${shadow.version} of ${model}`;
    wrong.found(shadow.missing, `requests have no answer of ${who}, which shadowed`);
    wrong.found(shadow.missingRows, `shadow answers of ${who} stand in the topic and in no table`);
    wrong.found(shadow.double, `shadow answers of ${who} stand in several rows, or have no request`);
    open.counted(shadow.unarchived, `shadow answers of ${who} wait for the archive`);
  }
}

function sayOfView(one: ViewAudit, wrong: Sentences, open: Sentences): void {
  const { view, contributions, applied, refused, letters, off, without, waiting } = one;
  if (off.length > 0)
    wrong.list.push(
      `View ${view} does not add up in partition ${off.join(', ')}: ${contributions} contributions on its topic, ${applied} applied and ${refused} refused by its state, ${letters} of them in dead letters.`,
    );
  wrong.found(
    one.tooOldWrong,
    `contributions were refused by ${view} as too_old though it waits longer for them`,
    'Rebuild the view from its topic: its features lack them.',
  );
  wrong.found(
    one.tooOldTaken,
    `contributions were taken by ${view} though they are too old for it`,
    'Rebuild the view from its topic: its closed tiles changed under its readers.',
  );
  if (without.length > 0)
    open.list.push(`View ${view} has no state that can be read in partition ${without.join(', ')}.`);
  open.counted(waiting, `contributions wait for the state of ${view}`);
}

function sayOfRefusals(
  one: RefusalAudit,
  { wrong, open, notes }: Readonly<Record<'wrong' | 'open' | 'notes', Sentences>>,
): void {
  const { view, source, lateForView, prompt, inTime, unjudged, unknown } = one;
  const mend = `The features of ${view} lack them. Look what paused or restarted then. A rebuild leaves refused contributions out: to have them back, change the view's definition, so that it is another version, and backfill that.`;
  wrong.found(
    prompt,
    `contributions of ${source} were refused by ${view} as late_for_view though their events came within out_of_orderness`,
    mend,
  );
  wrong.found(
    inTime,
    `contributions of ${source} were refused by ${view} as late_for_view though no undisturbed frontier had passed them`,
    mend,
  );
  open.counted(
    unjudged,
    `contributions of ${source} that ${view} refused as late_for_view are not judged yet: the archive lacks what came before them`,
  );
  notes.counted(
    lateForView - prompt.count - inTime.count - unjudged - unknown,
    `contributions of ${source} were refused by ${view} as late_for_view and may have been: their partitions had been silent`,
  );
  notes.counted(
    unknown,
    `contributions of ${source} that ${view} refused as late_for_view are judged by their arrival alone: the raw topic has lost the clocks before them`,
  );
}

function sayOfSkew({ source, late, lateForView }: SkewAudit, notes: Sentences): void {
  notes.counted(
    late,
    `events of ${source} were refused live as late and stand in its history (skew)`,
    'Training takes them, and the answers of then lack them.',
  );
  for (const [view, count] of Object.entries(lateForView))
    notes.counted(
      count,
      `contributions of ${source} were refused live by versions before ${view} as late_for_view, and this version has them (skew)`,
      'Training takes them where it is backfilled, and the answers of then lack them.',
    );
}

function sayOfHeads(
  { model, view, replayed, backlog, stuck, live }: HeadAudit,
  wrong: Sentences,
  notes: Sentences,
): void {
  wrong.found(
    replayed,
    `replayed requests were answered by ${model} below their full head of ${view}`,
    'Replay them again under another prefix, and report it: a replay waits for its features.',
  );
  wrong.found(
    backlog,
    `requests in backlog were answered by ${model} below their full head of ${view}, without waiting for it`,
    'Their features lack the newest events. Look whether features and inference run the same version, and what restarted then.',
  );
  notes.found(
    stuck,
    `requests in backlog were answered by ${model} below their full head of ${view}: its frontier had not moved for ten seconds`,
    'Start ingest and features before inference, or beside it.',
  );
  notes.found(
    live,
    `live requests were answered by ${model} below their full head of ${view}, after gate.max_wait`,
  );
}

function sayOfRefused(one: RefusedAudit, wrong: Sentences, notes: Sentences): void {
  const { model, byReason, behind, noFrontier, early } = one;
  for (const { view, wrong: within, overHold, beforeBase } of behind) {
    wrong.found(
      within,
      `requests were refused by ${model} as behind, within the hold of ${view}`,
      `They were in backlog and their features were no longer kept. If features told that it keeps no more, raise hold_megabytes of the view; else report it.`,
    );
    notes.counted(
      overHold,
      `requests were refused by ${model} as behind, further behind than slack and hold of ${view} keep`,
    );
    notes.counted(
      beforeBase,
      `requests were refused by ${model} as behind: their windows reach below what ${view} knows`,
    );
  }
  wrong.found(
    noFrontier,
    `requests were refused by ${model} as no_frontier after it had read its views`,
    'The state of a view was lost or being rebuilt then: look at the online store.',
  );
  notes.counted(early, `requests were refused by ${model} as no_frontier before its views had one`);
  for (const [reason, count] of Object.entries(byReason).sort())
    if (reason !== 'behind' && reason !== 'no_frontier')
      notes.counted(count, `requests were refused by ${model} as ${reason}`);
}

function sentenceOf({ kind, who, topic, partition, at, other }: Misplaced): string {
  const where = `${topic} partition ${partition}`;
  if (kind === 'changed')
    return `${where} is not the topic that was read, or lost its end: ingest had read it up to ${at}, and it ends at ${other}. Ingest of ${who} stands still until 'millrace topics accept ${who}' says from where it is read.`;
  return kind === 'cut'
    ? `${other - at} offsets of ${where} were deleted before ${who} read them: it stands at ${at}, and the topic begins at ${other}. Keep the topic for longer than an outage may last; what is lost must be sent again.`
    : `The place of ${who} in ${where} went back: it stands at ${at}, and had come to ${other}. The online store was rolled back or lost: start ${who}, which works the ${other - at} offsets again and repeats nothing.`;
}
