import { quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { BACKLOG_AFTER_MS, STUCK_AFTER_MS } from '../runtime/backlog.ts';
import { type Books, type Found, type FoundRow, foundOf, ms, PLACES } from './books.ts';

/** Scored answers of one model that read one view below the full head of their requests, by what allows it or does not. */
export interface HeadAudit {
  readonly model: string;
  readonly view: string;
  /** In a replay: never. */
  readonly replayed: Found;
  /** In backlog, where a request waits for its full head while a frontier that it needs moves: never. */
  readonly backlog: Found;
  /** In backlog, and the frontier had not moved for ten seconds: allowed, and told. */
  readonly stuck: Found;
  /** Live: allowed once the request has waited `gate.max_wait`. */
  readonly live: Found;
}

/** What an answer may take beside its waiting, so that no live one is taken for backlog, ms. */
const MARGIN_MS = 1_000;

interface HeadRow extends FoundRow {
  readonly view: string;
  readonly kind: 'replayed' | 'backlog' | 'stuck' | 'live';
}

/**
 * Counts the answers whose `asOf` is below their `head`. Whether a request was backlog is not in its answer, so it is told from when
 * inference can have seen it first. An answer that came later than the one before it in its partition, its own waiting apart, by
 * more than two seconds shows that inference was not at work, or had nothing: what it answers from there on was seen when that
 * answer's request was. A request older than two seconds then is backlog. One that only stood in a queue behind live ones is live.
 */
export async function auditHeads(books: Books, model: Model): Promise<HeadAudit[]> {
  const { project, warehouse } = books;
  const { prefix } = project;
  const predictions = quoteName(tables.predictions(prefix, model.name));
  const seenLate = BACKLOG_AFTER_MS + MARGIN_MS;
  const rows = await warehouse.query<HeadRow>(
    `WITH
       below AS (
         SELECT archived_partition AS p, archived_offset AS at, source_partition, source_offset, ${ms('raw_append_time')} AS raw,
           ${ms('append_time')} AS answered, wait_ms, arrayDistinct(arrayMap(r -> r.view, arrayFilter(r -> r.as_of < r.head, reads))) AS views
         FROM ${predictions} FINAL
         WHERE archived_offset >= 0 AND status = 'scored' AND arrayExists(r -> r.as_of < r.head, reads)
       ),
       clocks AS (
         SELECT partition AS p, archived_offset AS at, kind FROM ${quoteName(tables.progress(prefix))} FINAL
         WHERE topic = ${quoteText(topics.predictions(prefix, model.name))} AND replay != ''
       ),
       begun AS (
         SELECT p, at, toInt64(answered - wait_ms) AS seen FROM (
           SELECT archived_partition AS p, archived_offset AS at, ${ms('append_time')} AS answered, wait_ms,
             lagInFrame(answered, 1, 0) OVER (PARTITION BY p ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
           FROM ${predictions} FINAL
           WHERE archived_offset >= 0 AND ${ms('append_time')} >= (SELECT min(raw) FROM below)
         ) WHERE answered - wait_ms - before > ${BACKLOG_AFTER_MS}
       ),
       judged AS (
         SELECT below.*, multiIf(
           clocks.kind IN ('first', 'tick'), 'replayed',
           answered - raw - wait_ms <= ${seenLate} OR begun.seen - raw <= ${seenLate}, 'live',
           wait_ms >= ${STUCK_AFTER_MS}, 'stuck', 'backlog') AS kind
         FROM below
         ASOF LEFT JOIN clocks ON below.p = clocks.p AND below.at >= clocks.at
         ASOF LEFT JOIN begun ON below.p = begun.p AND below.at >= begun.at
       )
     SELECT view, kind, count() AS count, min(answered) AS since,
       ${PLACES} AS places
     FROM judged ARRAY JOIN views AS view GROUP BY view, kind ORDER BY view`,
  );
  return [...Map.groupBy(rows, ({ view }) => view)].map(([view, ofView]) => {
    const found = (kind: HeadRow['kind']) => foundOf(ofView.find((row) => row.kind === kind));
    return {
      model: model.name,
      view,
      replayed: found('replayed'),
      backlog: found('backlog'),
      stuck: found('stuck'),
      live: found('live'),
    };
  });
}
