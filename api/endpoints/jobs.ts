import { z } from 'zod';
import { audit } from '../../streams/audit/audit.ts';
import type { ApiDeps } from '../deps.ts';
import { modelOf, sourceOf, viewOf } from '../find.ts';
import { createJobs, type Jobs } from '../jobs/jobs.ts';
import { planHistory, readRequests, runHistory, runScoring } from '../jobs/join.ts';
import { readTable, TABLE_TYPES } from '../jobs/table.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { Reply, type Route, route } from '../route.ts';
import { nameSchema } from '../schemas.ts';
import { accepted, begun, busy, jobSchema } from './job-answers.ts';
import { authorOf } from './models.ts';
import { queryScoringRoute } from './score-query.ts';

const MAX_TABLE_BYTES = 16 * 1024 * 1024;

export function jobRoutes(
  deps: ApiDeps,
  more: (jobs: Jobs) => readonly Route[],
): { readonly routes: Route[]; close(): Promise<void> } {
  const jobs = createJobs(() => deps.clock.now(), deps.onFailure);
  return {
    routes: [
      ...more(jobs),
      historyRoute(deps, jobs),
      scoringRoute(deps, jobs),
      queryScoringRoute(deps, jobs),
      ...auditRoutes(deps, jobs),
      ...lookRoutes(jobs),
    ],
    close: () => jobs.close(),
  };
}

function historyRoute(deps: ApiDeps, jobs: Jobs): Route {
  const { project } = deps;
  return route({
    method: 'POST',
    path: '/v1/history',
    name: 'joinHistory',
    tag: 'jobs',
    summary: "The features of a table's entities as they were at the time of each row",
    description:
      'A point-in-time join: each row gets what a request at its time would have read, never anything later; the same bits. The table has a column for the time and one for each part of the keys; it comes back with a column for each feature, `view.feature`. Computed from the archive, as a job.',
    access: LOOK,
    query: z.strictObject({
      views: z.string().min(1).max(2_000).describe('Names, with commas between them.'),
      time: nameSchema.default('time').describe('Column of the time: epoch ms, or ISO 8601 with a zone.'),
      zone: nameSchema.optional().describe('Column with an IANA zone, for periodic features; default UTC.'),
    }),
    body: { types: TABLE_TYPES },
    bodyLimit: MAX_TABLE_BYTES,
    answers: begun,
    problems: {
      404: 'There is no such view.',
      422: 'The table cannot be read, or lacks a column.',
      503: busy,
    },
    handle: async ({ query, raw, caller }) => {
      const views = [...new Set(query.views.split(','))].map((name) => viewOf(project, name.trim()));
      if (raw === null) throw noTable();
      const { type, bytes } = raw;
      const requestOf = async () => ({
        table: await readTable(type, bytes),
        views,
        timeColumn: query.time,
        zoneColumn: query.zone ?? null,
      });
      // Looked at now, so that whoever sends it hears what is wrong; kept as bytes, which are smaller.
      planHistory(await requestOf());
      return accepted(
        jobs.start({
          kind: 'history',
          by: authorOf(caller),
          type,
          run: async (work) => runHistory(deps, await requestOf(), work),
        }),
      );
    },
  });
}

const noTable = () =>
  new Problem(400, 'bad_request', 'A table is needed: send CSV, lines of JSON or Parquet.');

function scoringRoute(deps: ApiDeps, jobs: Jobs): Route {
  const { project, clock } = deps;
  return route({
    method: 'POST',
    path: '/v1/models/{model}/score',
    name: 'scoreTable',
    tag: 'jobs',
    summary: 'Score a table of requests, from the features as they were at the time of each',
    description: `The table has a column for each field of the requests, and \`time\`; other columns are kept. It comes back with the columns score, decision, model_version and reason. Nothing of it is monitored.`,
    access: CHANGE,
    params: z.strictObject({ model: nameSchema }),
    query: z.strictObject({
      version: z
        .string()
        .regex(/^[1-9]\d{0,8}$/, 'is no number of a version')
        .transform(Number)
        .optional()
        .describe('Default: the champion.'),
    }),
    body: { types: TABLE_TYPES },
    bodyLimit: MAX_TABLE_BYTES,
    answers: begun,
    problems: { 422: 'The table cannot be read, or a row is no request of the model.', 503: busy },
    handle: async ({ params, query, raw, caller }) => {
      const model = modelOf(project, params.model);
      if (raw === null) throw noTable();
      const { type, bytes } = raw;
      const requestOf = async () => ({
        table: await readTable(type, bytes),
        model,
        source: sourceOf(project, model.request.source),
        version: query.version ?? null,
      });
      readRequests(await requestOf(), clock.now());
      return accepted(
        jobs.start({
          kind: 'score',
          by: authorOf(caller),
          type,
          run: async (work) => runScoring(deps, await requestOf(), work),
        }),
      );
    },
  });
}

function auditRoutes(deps: ApiDeps, jobs: Jobs): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/audit',
      name: 'startAudit',
      tag: 'jobs',
      summary: 'Follow every raw record to its answer and its row',
      description: 'Reads all topics from their start, as a job; its result is the audit as JSON.',
      access: CHANGE,
      answers: begun,
      problems: { 503: busy },
      handle: async ({ caller }) =>
        accepted(
          jobs.start({
            kind: 'audit',
            by: authorOf(caller),
            type: 'application/json',
            async run(work) {
              const { project, kafka, warehouse, codecs, store } = deps;
              const result = await audit({
                project,
                kafka,
                warehouse,
                codecs,
                store,
                onProgress: (records) => {
                  work.signal.throwIfAborted();
                  work.progress('reads topics', records, null);
                },
              });
              await work.write(`${JSON.stringify(result)}\n`);
            },
          }),
        ),
    }),
    route({
      method: 'GET',
      path: '/v1/audit',
      name: 'getAudit',
      tag: 'jobs',
      summary: 'The audit that ended last on this server',
      access: LOOK,
      answers: [
        {
          status: 200,
          description: 'The audit.',
          schema: z.looseObject({
            status: z.enum(['holds', 'behind', 'broken']),
            findings: z.array(z.string()),
            notes: z.array(z.string()),
          }),
        },
      ],
      problems: { 404: 'None has ended yet: POST /v1/audit.' },
      handle: async () => {
        const last = jobs.all().findLast(({ kind, state }) => kind === 'audit' && state === 'done');
        const result = last === undefined ? null : jobs.result(last.id);
        if (result === null)
          throw new Problem(404, 'no_audit', 'No audit has ended on this server: POST /v1/audit.');
        return new Reply(200, result.open(), { 'content-type': result.type });
      },
    }),
  ];
}

const atJob = z.strictObject({ job: z.string().min(1).max(100) });
const unknown = (id: string) =>
  new Problem(404, 'unknown_job', `There is no job '${id}': it was another server's, or is forgotten.`);

function lookRoutes(jobs: Jobs): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/jobs',
      name: 'listJobs',
      tag: 'jobs',
      summary: 'Jobs of this server, the newest last',
      access: LOOK,
      answers: [{ status: 200, description: 'Jobs.', schema: z.object({ jobs: z.array(jobSchema) }) }],
      handle: async () => ({ jobs: jobs.all() }),
    }),
    route({
      method: 'GET',
      path: '/v1/jobs/{job}',
      name: 'getJob',
      tag: 'jobs',
      summary: 'How far a job is',
      access: LOOK,
      params: atJob,
      answers: [{ status: 200, description: 'The job.', schema: jobSchema }],
      handle: async ({ params }) => {
        const status = jobs.get(params.job);
        if (status === null) throw unknown(params.job);
        return status;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/jobs/{job}/result',
      name: 'getJobResult',
      tag: 'jobs',
      summary: 'What a job made, in the form of what it was given',
      access: LOOK,
      params: atJob,
      answers: [
        {
          status: 200,
          description: 'The table, or the audit as JSON.',
          schema: null,
          types: [...Object.keys(TABLE_TYPES), 'application/json'],
        },
      ],
      problems: { 409: 'It is not done.' },
      timeoutMs: 600_000,
      handle: async ({ params }) => {
        const status = jobs.get(params.job);
        if (status === null) throw unknown(params.job);
        const result = jobs.result(params.job);
        if (result === null)
          throw new Problem(
            409,
            'not_done',
            `The job is ${status.state}: ${status.error?.detail ?? status.doing}`,
          );
        return new Reply(200, result.open(), {
          'content-type': result.type,
          'content-length': String(result.bytes),
        });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/jobs/{job}/cancel',
      name: 'cancelJob',
      tag: 'jobs',
      summary: 'Cancel a job',
      access: CHANGE,
      params: atJob,
      answers: [{ status: 200, description: 'The job as it is now.', schema: jobSchema }],
      problems: { 409: 'It is over.' },
      changes: true,
      handle: async ({ params }) => {
        if (jobs.get(params.job) === null) throw unknown(params.job);
        const status = jobs.cancel(params.job);
        if (status === null) throw new Problem(409, 'over', 'The job is over.');
        return status;
      },
    }),
  ];
}
