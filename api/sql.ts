import { WarehouseError, type WarehouseErrorCode } from '../infrastructure/clickhouse/errors.ts';
import type { AskedRows, AskLimits, Warehouse } from '../infrastructure/clickhouse/port.ts';
import { Problem } from './problem.ts';

/** Tables that are no tables of the warehouse: files, addresses and other servers that it can reach. */
const ELSEWHERE =
  /\b(file|fileCluster|url|urlCluster|s3|s3Cluster|gcs|hdfs|hdfsCluster|azureBlobStorage\w*|remote|remoteSecure|cluster\w*|mysql|postgresql|mongodb|redis|sqlite|odbc|jdbc|executable|input|python|iceberg\w*|deltaLake\w*|hudi\w*|dictionary|arrowFlight|ytsaurus)\s*\(/i;
/** Texts, quoted names and comments, in which a word means nothing. */
const QUOTED = /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*|\/\*[\s\S]*?\*\//g;
const READS = /^[\s(]*(select|with|show|describe|desc|explain|exists)\b/i;

/** Why a statement is not even sent; null where nothing speaks against it. The server refuses what changes anything in any case. */
function faultOfSql(sql: string): string | null {
  const bare = sql.replace(QUOTED, ' ');
  if (!READS.test(bare)) return 'Only SELECT, WITH, SHOW, DESCRIBE, EXISTS and EXPLAIN are taken here.';
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
