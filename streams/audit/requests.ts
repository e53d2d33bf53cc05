import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Source } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { recordsOf } from './arrivals.ts';
import { type Books, type Found, type FoundRow, foundOf, ms, PLACES } from './books.ts';
import { readMetas } from './metas.ts';

/** Requests that one model refused as `behind` for the sake of one view. */
export interface BehindAudit {
  readonly view: string;
  /** Within the declared hold, with everything known that their windows reach. */
  readonly wrong: Found;
  /** Their heads were further behind the newest events than slack and `hold` keep. */
  readonly overHold: number;
  /** Their windows reach below what the state knows (a cut log, a version that was not fed). */
  readonly beforeBase: number;
}

export interface RefusedAudit {
  readonly model: string;
  readonly byReason: Readonly<Record<string, number>>;
  readonly behind: readonly BehindAudit[];
  /** Refused as `no_frontier` though the model had read its views before. */
  readonly noFrontier: Found;
  /** Refused as `no_frontier` before its views were there. */
  readonly early: number;
}

/** Partitions of a view tell of their first frontier within this time of one another, ms. */
const FIRST_FRONTIERS_MS = 1_000;

/**
 * Counts refused requests by reason. Two reasons are findings. `behind`, unless the reader was over the declared hold (judged by the
 * newest event that had arrived, which no frontier passes) or its window reaches below the state's base; where `hold_megabytes`
 * was the narrower bound the table cannot tell, and the finding says so. And `no_frontier` once the model had read its views.
 */
export async function auditRefused(books: Books, model: Model): Promise<RefusedAudit> {
  const { project, warehouse } = books;
  const predictions = quoteName(tables.predictions(project.prefix, model.name));
  const refused = `${predictions} FINAL WHERE archived_offset >= 0 AND status = 'refused'`;
  const reasons = await warehouse.query<{ reason: string; count: number }>(
    `SELECT reason, count() AS count FROM ${refused} GROUP BY reason`,
  );
  const byReason = Object.fromEntries(reasons.map(({ reason, count }) => [reason, count]));
  const behind: BehindAudit[] = [];
  if ((byReason.behind ?? 0) > 0) {
    const views = await warehouse.query<{ view: string }>(
      `SELECT DISTINCT reads[-1].view AS view FROM ${refused} AND reason = 'behind' ORDER BY view`,
    );
    for (const { view } of views) behind.push(await auditBehind(books, refused, view));
  }
  const lost =
    (byReason.no_frontier ?? 0) === 0
      ? foundOf(undefined)
      : await noFrontierAfterFirst(books, predictions, refused);
  return {
    model: model.name,
    byReason,
    behind,
    noFrontier: lost,
    early: (byReason.no_frontier ?? 0) - lost.count,
  };
}

async function noFrontierAfterFirst(
  { warehouse }: Books,
  predictions: string,
  refused: string,
): Promise<Found> {
  const [row] = await warehouse.query<FoundRow>(
    `WITH first AS (SELECT count() AS scored, min(${ms('append_time')}) AS at FROM ${predictions} WHERE status = 'scored')
     SELECT count() AS count, min(${ms('append_time')}) AS since, ${PLACES} AS places FROM ${refused} AND reason = 'no_frontier'
       AND (SELECT scored FROM first) > 0 AND ${ms('raw_append_time')} > (SELECT at FROM first) + ${FIRST_FRONTIERS_MS}`,
  );
  return foundOf(row);
}

async function auditBehind(books: Books, refused: string, id: string): Promise<BehindAudit> {
  const { project, warehouse } = books;
  const view = project.views.find((one) => one.id === id);
  const sources = project.sources.filter(({ name }) => view?.sources.includes(name));
  const kept = view === undefined ? Number.MAX_SAFE_INTEGER : view.slack + view.hold.time;
  const known = view === undefined ? null : await knownFrom(books, view);
  const rows = await warehouse.query<FoundRow & { readonly kind: 'wrong' | 'overHold' | 'beforeBase' }>(
    `WITH
       behind AS (
         SELECT 1 AS one, source_partition, source_offset, ${ms('append_time')} AS answered, ${ms('reads[-1].head')} AS head
         FROM ${refused} AND reason = 'behind' AND reads[-1].view = ${quoteText(id)}
       ),
       arrived AS (${newestBySecond(project.prefix, sources)})
     SELECT multiIf(${known === null ? '0' : `head < ${known}`}, 'beforeBase', newest - head > ${kept}, 'overHold', 'wrong') AS kind,
       count() AS count, min(answered) AS since, ${PLACES} AS places
     FROM behind ASOF LEFT JOIN arrived ON behind.one = arrived.one AND behind.answered >= arrived.since
     GROUP BY kind`,
  );
  const countOf = (kind: string) => rows.find((row) => row.kind === kind)?.count ?? 0;
  return {
    view: id,
    wrong: foundOf(rows.find(({ kind }) => kind === 'wrong')),
    overHold: countOf('overHold'),
    beforeBase: countOf('beforeBase'),
  };
}

/** The newest event, no later than its arrival, that had come by each second of the broker's clock. */
function newestBySecond(prefix: string, sources: readonly Source[]): string {
  if (sources.length === 0) return 'SELECT 1 AS one, toInt64(0) AS since, toInt64(0) AS newest';
  const all = sources.map((source) => recordsOf(prefix, source)).join(' UNION ALL ');
  return `SELECT 1 AS one, since, max(newest) OVER (ORDER BY since) AS newest FROM (
    SELECT intDiv(a, 1000) * 1000 AS since, max(least(assumeNotNull(t), a)) AS newest FROM (${all}) WHERE t IS NOT NULL GROUP BY since)`;
}

/** Heads from here on reach nothing that the state does not know, epoch ms; null where it knows all. */
async function knownFrom(books: Books, view: View): Promise<number | null> {
  const metas = await readMetas(books, view);
  const bases = metas.flatMap((meta) => meta?.base ?? []);
  return bases.length === 0 ? null : Math.max(...bases) + Math.max(...view.sets.map(({ reach }) => reach));
}
