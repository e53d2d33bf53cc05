import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { CHANGE } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { askWarehouse } from '../sql.ts';

const MOST_ROWS = 10_000;
const TIME_MS = 10_000;

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
        const began = clock.now();
        const answer = await askWarehouse(warehouse, sql, { rows: limit, timeMs: TIME_MS });
        return { ...answer, ms: clock.now() - began };
      },
    }),
  ];
}
