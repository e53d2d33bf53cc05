import { z } from 'zod';
import { WarehouseError, type WarehouseErrorCode } from '../../infrastructure/clickhouse/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { Problem } from '../problem.ts';
import { CHANGE } from '../roles.ts';
import { type Route, route } from '../route.ts';

const MOST_ROWS = 10_000;
const TIME_MS = 10_000;

/** Tables that are no tables of the warehouse: files, addresses and other servers that it can reach. */
const ELSEWHERE =
  /\b(file|fileCluster|url|urlCluster|s3|s3Cluster|gcs|hdfs|hdfsCluster|azureBlobStorage\w*|remote|remoteSecure|cluster\w*|mysql|postgresql|mongodb|redis|sqlite|odbc|jdbc|executable|input|python|iceberg\w*|deltaLake\w*|hudi\w*|dictionary|arrowFlight|ytsaurus)\s*\(/i;
/** Texts, quoted names and comments, in which a word means nothing. */
const QUOTED = /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*|\/\*[\s\S]*?\*\//g;
const READS = /^[\s(]*(select|with|show|describe|desc|explain|exists)\b/i;

/** Why a statement is not even sent; null where nothing speaks against it. The server refuses what changes anything in any case. */
export function faultOfSql(sql: string): string | null {
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

export function sqlRoutes({ warehouse, clock }: Pick<ApiDeps, 'warehouse' | 'clock'>): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/sql',
      name: 'askSql',
      tag: 'project',
      summary: 'Ask the warehouse a question in SQL',
      description: `Reads only: the server itself refuses what would change anything. A statement ends after ${TIME_MS / 1_000} s. Tables are those of the project, \`SHOW TABLES\` names them.`,
      access: CHANGE,
      body: {
        json: z.strictObject({
          sql: z.string().min(1).max(20_000),
          limit: z.int().min(1).max(MOST_ROWS).default(1_000).describe('Most rows.'),
        }),
        example: { sql: 'SHOW TABLES', limit: 100 },
      },
      answers: [
        {
          status: 200,
          description: 'Rows.',
          schema: z.object({
            columns: z.array(z.object({ name: z.string(), type: z.string() })),
            rows: z.array(z.array(z.unknown())).describe('Cells in the order of the columns.'),
            cut: z.boolean().describe('There are more rows.'),
            ms: z.number(),
          }),
        },
      ],
      problems: { 422: 'The statement cannot be run; the detail says why.' },
      handle: async ({ body: { sql, limit } }) => {
        const fault = faultOfSql(sql);
        if (fault !== null) throw new Problem(422, 'not_taken', fault);
        const began = clock.now();
        try {
          const answer = await warehouse.ask(sql, { rows: limit, timeMs: TIME_MS });
          return { ...answer, ms: clock.now() - began };
        } catch (error) {
          throw error instanceof WarehouseError && !AWAY.has(error.code) ? refused(error) : error;
        }
      },
    }),
  ];
}
