import { rawTopic } from '../../schemas/names.ts';
import { archiveTables } from '../archive/tables.ts';
import { withPartitions } from '../runtime/partitions.ts';
import { type Books, Tally, type ViewLetters } from './books.ts';
import { findingsOf } from './findings.ts';
import { auditHeads, type HeadAudit } from './heads.ts';
import { auditModel, type ModelAudit } from './models.ts';
import { type ArrivalFacts, auditRefusals, type RefusalAudit } from './refusals.ts';
import { auditRefused, type RefusedAudit } from './requests.ts';
import { cutsOf, type Misplaced, rewindsOf, rewoundIn, type Written } from './rewinds.ts';
import { auditSkew, type SkewAudit } from './skew.ts';
import { auditSource, type SourceAudit } from './sources.ts';
import { lookAround, pause } from './standing.ts';
import { auditView, type ViewAudit } from './views.ts';
import { mayWait, type Wait, waitsOf } from './waits.ts';

/*
 * The books of a project, offset by offset:
 *
 *   raw records = accepted + refused (late ones among them) = rows         clocks apart, for each source
 *   requests    = predictions (refused ones among them)     = rows         for each model
 *   requests    = shadow answers                            = rows         for each version, while it shadows
 *   contributions = applied + refused                                      for each partition of a view
 *
 * and what they mean: contributions that a view should not have refused, answers below their full head, requests that were refused,
 * places that went back or were cut, and who waits for whom.
 *
 * What a stream has not come to is `waiting`, what stands in a topic that the archive has not read to its end
 * is `unarchived`: neither is wrong. What was passed and is nowhere is missing; what stands twice is double.
 */

export interface AuditDeps extends Omit<Books, 'kept' | 'tick'> {
  readonly onProgress?: (records: number) => void;
  /** Waits between two looks at who does not move; default three seconds. */
  readonly pause?: () => Promise<void>;
}

export interface Audit {
  /** `behind`: nothing is wrong so far, and something still waits. */
  readonly status: 'holds' | 'behind' | 'broken';
  readonly sources: readonly SourceAudit[];
  readonly models: readonly ModelAudit[];
  /** Empty without a store. */
  readonly views: readonly ViewAudit[];
  /** Contributions that views refused, against what the archive says they should have. */
  readonly refusals: readonly RefusalAudit[];
  /** Events that live refused and training takes, by source. */
  readonly skews: readonly SkewAudit[];
  /** Scored answers that read below their full head, by model and view. */
  readonly heads: readonly HeadAudit[];
  /** Requests that were refused, by model. */
  readonly refused: readonly RefusedAudit[];
  /** Places that went back, and topics that begin behind the place of a reader. */
  readonly misplaced: readonly Misplaced[];
  /** Who has work and does not do it, and for whom. */
  readonly waits: readonly Wait[];
  /** What is allowed, and worth knowing, each one sentence. */
  readonly notes: readonly string[];
  /** What does not add up, each one sentence. Empty where all holds. */
  readonly findings: readonly string[];
}

/**
 * Reads the topics of a project from start to end and follows every raw record through topics and tables: a
 * tool, not a stream. Retention must not have cut the topics yet. Throws KafkaError, WarehouseError, StoreError.
 */
export async function audit(given: AuditDeps): Promise<Audit> {
  const project = await withPartitions(given.project, given.kafka);
  const deps = { ...given, project };
  const { onProgress } = deps;
  let records = 0;
  const tick = (read: number): void => {
    records += read;
    onProgress?.(records);
  };
  const books: Books = { ...deps, kept: archiveTables(project, deps.codecs), tick };
  const sources: SourceAudit[] = [];
  const models: ModelAudit[] = [];
  const letters = new Map<string, ReadonlyMap<string, ViewLetters>>();
  const facts = new Map<string, ArrivalFacts>();
  const written = new Map<string, (partition: number) => number>();
  for (const source of project.sources) {
    const {
      audit: one,
      accepted,
      refusedBy,
      facts: arrivals,
      written: last,
    } = await auditSource(books, source);
    sources.push(one);
    facts.set(source.name, arrivals);
    written.set(source.name, last);
    letters.set(rawTopic(project.prefix, source), refusedBy);
    for (const model of project.models.filter(({ request }) => request.source === source.name)) {
      const asked = accepted.get(model.request.eventType) ?? new Tally();
      models.push(await auditModel(books, model, asked, source.partitions));
    }
  }
  const views: ViewAudit[] = [];
  const { store } = deps;
  if (store !== undefined)
    for (const view of project.views) views.push(await auditView({ ...deps, store, tick, letters }, view));
  const refusals = await auditRefusals(books, facts);
  const skews: SkewAudit[] = [];
  for (const source of project.sources) skews.push(await auditSkew(books, source));
  const heads: HeadAudit[] = [];
  const refused: RefusedAudit[] = [];
  for (const model of project.models) {
    heads.push(...(await auditHeads(books, model)));
    refused.push(await auditRefused(books, model));
  }
  const audits = {
    sources,
    models,
    views,
    refusals,
    skews,
    heads,
    refused,
    ...(await auditStanding(deps, books, written)),
  };
  const { wrong, open, notes } = findingsOf(audits);
  const status = wrong.length > 0 ? 'broken' : open.length > 0 ? 'behind' : 'holds';
  return { status, ...audits, findings: [...wrong, ...open], notes };
}

/** Where everybody stands now; looks again where somebody may not move. */
async function auditStanding(
  deps: AuditDeps,
  books: Books,
  written: Written,
): Promise<Pick<Audit, 'misplaced' | 'waits'>> {
  const { project } = books;
  const first = await lookAround(books);
  const cuts = await cutsOf(books, first);
  if (!mayWait(project, first) && rewoundIn(written, first).length === 0)
    return { misplaced: cuts, waits: [] };
  await (deps.pause ?? pause)();
  const second = await lookAround(books);
  return {
    misplaced: [...rewindsOf(written, first, second), ...cuts],
    waits: waitsOf(project, first, second),
  };
}
