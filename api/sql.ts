import { WarehouseError, type WarehouseErrorCode } from '../infrastructure/clickhouse/errors.ts';
import type { AskedRows, AskLimits, Warehouse } from '../infrastructure/clickhouse/port.ts';
import { Problem } from './problem.ts';

/** Tables and functions that are no part of the warehouse: files, addresses and other servers that it can reach. */
const ELSEWHERE =
  /\b(file|fileCluster|filesystem|url|urlCluster|s3|s3Cluster|gcs|oss|cosn|hdfs|hdfsCluster|azureBlobStorage\w*|remote|remoteSecure|cluster\w*|mysql|postgresql|mongodb|redis|sqlite|odbc|jdbc|executable|input|python|iceberg\w*|deltaLake\w*|hudi\w*|paimon\w*|dictionary|arrow\w+|ytsaurus|eval|catboostEvaluate|ai(?:classify|embed|extract|generate|translate)\w*)\s*\(/i;
/** Texts, quoted names and comments as ClickHouse's lexer sees them. */
const QUOTED =
  /(?<digits>\b[xb]'[^']*\\)|'(?:[^'\\]|\\.)*'|(?<name>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")|--[^\n]*|\/\*(?<comment>.*?)\*\//gis;
/** What ClickHouse may take for the begin or the end of a text, a name or a comment, or for a space, where we do not. */
const UNSEEN = /[^\t-\r -~]|[$#'"`]/;
const READS = /^[\s(]*(select|with|show|describe|desc|explain|exists)\b/i;

/** Why a statement is not even sent; null where nothing speaks against it. The server refuses what changes anything in any case. */
function faultOfSql(sql: string): string | null {
  let odd: string | null = null;
  const bare = sql.replace(QUOTED, (...found) => {
    const { digits, name, comment } = found.at(-1) as Readonly<Record<string, string | undefined>>;
    if (digits !== undefined) odd = 'A text of digits with a backslash';
    if (comment?.includes('/*')) odd = 'A comment within a comment';
    return name === undefined ? ' ' : '@';
  });
  if (!READS.test(bare)) return 'Only SELECT, WITH, SHOW, DESCRIBE, EXISTS and EXPLAIN are taken here.';
  if (odd !== null) return `${odd} is not taken here: leave it out.`;
  const unseen = UNSEEN.exec(bare)?.[0];
  if (unseen !== undefined)
    return `The sign ${JSON.stringify(unseen)} is taken here only within a text ('…'), a quoted name or a comment (-- …), and each of these must end.`;
  if (/@\s*\(/.test(bare))
    return 'The name of a function stands in quotes, which is not taken here: write it without.';
  const elsewhere = ELSEWHERE.exec(bare)?.[1];
  return elsewhere === undefined
    ? null
    : `${elsewhere}() reads from outside the warehouse, which is not taken here.`;
}

const AWAY: ReadonlySet<WarehouseErrorCode> = new Set(['unreachable', 'answer_lost']);
const LONGEST = 1_000;

/** In ClickHouse's own words. */
function refused(error: WarehouseError): Problem {
  const { message } = error.cause instanceof Error ? error.cause : error;
  const text = message.length > LONGEST ? `${message.slice(0, LONGEST)}…` : message;
  return new Problem(422, 'bad_sql', `ClickHouse says: ${text}`, { cause: error });
}

/** Runs a statement of a person (docs/decisions/0031). Throws Problem where it is not taken, or ClickHouse refuses it. */
export async function askWarehouse(
  warehouse: Pick<Warehouse, 'ask'>,
  sql: string,
  limits: AskLimits,
): Promise<AskedRows> {
  mustRead(sql);
  try {
    return await warehouse.ask(sql, limits);
  } catch (error) {
    throw error instanceof WarehouseError && !AWAY.has(error.code) ? refused(error) : error;
  }
}

/** Throws Problem where a statement is not even sent. */
export function mustRead(sql: string): void {
  const fault = faultOfSql(sql);
  if (fault !== null) throw new Problem(422, 'not_taken', fault);
}
