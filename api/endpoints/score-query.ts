import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { modelOf, sourceOf } from '../find.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { runScoring } from '../jobs/join.ts';
import { QUERY_FORMS, type QueryForm, queryTable } from '../jobs/query.ts';
import { CHANGE } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { nameSchema } from '../schemas.ts';
import { mustRead } from '../sql.ts';
import { accepted, begun, busy } from './job-answers.ts';
import { authorOf } from './models.ts';

/** Requests that lie in the warehouse are scored there, without going through whoever asks. */
export function queryScoringRoute(deps: ApiDeps, jobs: Jobs): Route {
  const { project, warehouse } = deps;
  return route({
    method: 'POST',
    path: '/v1/models/{model}/score/query',
    name: 'scoreQuery',
    tag: 'jobs',
    summary: 'Score the rows of a query, from the features as they were at the time of each',
    description:
      'The query gives a column for each field of the requests, and `time`; other columns are kept. It reads only, ends after 60 s, and has at most 200,000 rows. The result has the columns score, decision, model_version and reason as well. Nothing of it is monitored.',
    access: CHANGE,
    params: z.strictObject({ model: nameSchema }),
    body: {
      json: z.strictObject({
        sql: z.string().min(1).max(20_000).describe('One statement that reads.'),
        version: z.int().min(1).max(999_999_999).optional().describe('Default: the champion.'),
        form: z
          .enum(Object.keys(QUERY_FORMS) as [QueryForm, ...QueryForm[]])
          .default('csv')
          .describe('Of the result.'),
      }),
      example: { sql: 'SELECT * FROM shop_events_orders LIMIT 1000', form: 'csv' },
    },
    answers: begun,
    problems: {
      404: 'There is no such model.',
      422: 'The statement is none that reads the warehouse.',
      503: busy,
    },
    handle: async ({ params, body: { sql, version, form }, caller }) => {
      const model = modelOf(project, params.model);
      mustRead(sql);
      return accepted(
        jobs.start({
          kind: 'score',
          by: authorOf(caller),
          type: QUERY_FORMS[form],
          async run(work) {
            work.progress('asks the warehouse', 0, null);
            const table = await queryTable(warehouse, sql, form);
            work.signal.throwIfAborted();
            const source = sourceOf(project, model.request.source);
            await runScoring(deps, { table, model, source, version: version ?? null }, work);
          },
        }),
      );
    },
  });
}
