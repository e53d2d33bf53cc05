import { z } from 'zod';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { createPipelineTicks, openRunLog } from '../../pipelines/pipelines.ts';
import { cancel, resume } from '../../pipelines/runs/changes.ts';
import { isOver, type PipelineRun } from '../../pipelines/runs/run.ts';
import { runId } from '../../pipelines/runs/starts.ts';
import { jobsOf } from '../../pipelines/runs/work.ts';
import { readRun, readRuns } from '../../pipelines/training/runs-read.ts';
import { tables } from '../../schemas/names.ts';
import type { Pipeline } from '../../schemas/pipeline.ts';
import type { ApiDeps } from '../deps.ts';
import { pipelineOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { Reply, type Route, route } from '../route.ts';
import { epochMs, limitQuery, nameSchema, reasonSchema, timeSchema } from '../schemas.ts';
import { authorOf } from './models.ts';

const stepSchema = z.object({
  step: z.string(),
  does: z.string(),
  state: z.enum(['waiting', 'running', 'done', 'skipped', 'failed', 'cancelled']),
  attempt: z.number().int(),
  worker: z.string(),
  startedAt: epochMs.nullable(),
  finishedAt: epochMs.nullable(),
  refused: z.boolean().describe('Its answer was no.'),
  note: z.string(),
  error: z.string(),
});

const runSchema = z.object({
  id: z.string(),
  pipeline: z.string(),
  model: z.string(),
  eventTime: epochMs.describe('Nothing later is learnt from.'),
  cause: z.string(),
  state: z.enum(['waiting', 'running', 'shadowing', 'done', 'refused', 'failed', 'cancelled']),
  createdAt: epochMs,
  at: epochMs.describe('Of its last change, wall clock.'),
  steps: z.array(stepSchema),
});

export const plainRun = ({
  id,
  pipeline,
  model,
  eventTime,
  cause,
  state,
  createdAt,
  at,
  steps,
}: PipelineRun) => ({
  id,
  pipeline,
  model,
  eventTime,
  cause,
  state,
  createdAt,
  at,
  steps: steps.map(({ step, state: of, attempt, worker, startedAt, finishedAt, refused, note, error }) => ({
    step: step.name,
    does: step.kind,
    state: of,
    attempt,
    worker,
    startedAt,
    finishedAt,
    refused,
    note,
    error,
  })),
});

const atRun = z.strictObject({ run: z.string().min(1).max(300) });

export function pipelineRoutes(deps: ApiDeps): Route[] {
  const { project, queue } = deps;
  const { log } = openRunLog(deps, deps.onFailure);
  const find = async (id: string): Promise<PipelineRun> => {
    const run = await log.get(id);
    if (run === null)
      throw new Problem(404, 'unknown_run', `There is no run '${id}' (GET /v1/pipeline-runs).`);
    return run;
  };
  const runAnswer = [{ status: 200, description: 'The run as it is now.', schema: runSchema }];
  return [
    route({
      method: 'GET',
      path: '/v1/pipelines',
      name: 'listPipelines',
      tag: 'pipelines',
      summary: 'The pipelines of the project',
      access: LOOK,
      answers: [
        { status: 200, description: 'All.', schema: z.object({ pipelines: z.array(pipelineSchema) }) },
      ],
      handle: async () => ({ pipelines: project.pipelines.map(plainPipeline) }),
    }),
    route({
      method: 'GET',
      path: '/v1/pipeline-runs',
      name: 'listPipelineRuns',
      tag: 'pipelines',
      summary: 'Runs of pipelines, the newest last',
      access: LOOK,
      query: z.strictObject({ pipeline: nameSchema.optional(), limit: limitQuery(300, 50) }),
      answers: [{ status: 200, description: 'Runs.', schema: z.object({ runs: z.array(runSchema) }) }],
      handle: async ({ query }) => {
        const runs = (await log.all()).filter(({ pipeline }) => (query.pipeline ?? pipeline) === pipeline);
        return { runs: runs.slice(-query.limit).map(plainRun) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/pipeline-runs/{run}',
      name: 'getPipelineRun',
      tag: 'pipelines',
      summary: 'One run, step by step',
      access: LOOK,
      params: atRun,
      answers: runAnswer,
      handle: async ({ params }) => plainRun(await find(params.run)),
    }),
    route({
      method: 'POST',
      path: '/v1/pipelines/{pipeline}/run',
      name: 'startPipeline',
      tag: 'pipelines',
      summary: 'Start a run of a pipeline',
      description: 'Workers of `millrace run pipelines` take its steps.',
      access: CHANGE,
      params: z.strictObject({ pipeline: nameSchema }),
      body: {
        json: z.strictObject({
          reason: reasonSchema,
          at: timeSchema
            .optional()
            .describe(
              'Event time: nothing later is learnt from. Default: the newest event that the archive holds.',
            ),
        }),
        example: { reason: 'new fares since Monday' },
      },
      answers: [{ status: 202, description: 'The run, in the queue.', schema: runSchema }],
      problems: { 409: 'The archive is empty.' },
      changes: true,
      handle: async ({ params, body, caller }) => {
        const pipeline = pipelineOf(project, params.pipeline);
        const eventTime = body.at ?? (await archivedTo(deps, pipeline));
        await queue.ready();
        const { run } = await createPipelineTicks(deps, log).start({
          id: `${runId(pipeline.name, eventTime)}.${deps.clock.now().toString(36)}`,
          pipeline,
          eventTime,
          cause: `${authorOf(caller)}: ${body.reason.trim()}`,
          tick: null,
        });
        return new Reply(202, plainRun(run));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/pipeline-runs/{run}/cancel',
      name: 'cancelPipelineRun',
      tag: 'pipelines',
      summary: 'Cancel a run',
      access: CHANGE,
      params: atRun,
      body: { json: z.strictObject({ reason: reasonSchema }), example: { reason: 'wrong event time' } },
      answers: runAnswer,
      problems: { 409: 'The run is over.' },
      changes: true,
      handle: async ({ params, body, caller }) => {
        const run = await find(params.run);
        const reason = `${authorOf(caller)}: ${body.reason.trim()}`;
        const cancelled = await log.update(run.id, (now, at) => cancel(now, reason, at));
        if (cancelled === null) throw new Problem(409, 'over', `Run ${run.id} is ${run.state} already.`);
        return plainRun(cancelled);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/pipeline-runs/{run}/resume',
      name: 'resumePipelineRun',
      tag: 'pipelines',
      summary: 'Go on with a failed or cancelled run at the step where it ended',
      access: CHANGE,
      params: atRun,
      body: {
        json: z.strictObject({ reason: reasonSchema }),
        example: { reason: 'the disk has room again' },
      },
      answers: runAnswer,
      problems: { 409: 'There is no failed step to go on at.' },
      changes: true,
      handle: async ({ params }) => {
        const run = await find(params.run);
        const resumed = await log.update(run.id, resume);
        if (resumed === null)
          throw new Problem(
            409,
            isOver(run) ? 'over' : 'running',
            isOver(run)
              ? `Run ${run.id} is ${run.state}: there is no failed step to go on at.`
              : `Run ${run.id} is ${run.state}: it goes on by itself.`,
          );
        await queue.add(jobsOf(resumed, deps.clock.now()));
        return plainRun(resumed);
      },
    }),
    ...trainingRuns(deps),
  ];
}

const pipelineSchema = z.object({
  pipeline: z.string(),
  model: z.string(),
  start: z.object({
    everyMs: z.number().nullable(),
    cron: z.string().nullable(),
    alerts: z.array(z.string()),
  }),
  steps: z.array(z.object({ step: z.string(), does: z.string(), needs: z.array(z.string()) })),
});

const plainPipeline = ({ name, model, start, steps }: Pipeline) => ({
  pipeline: name,
  model,
  start: {
    everyMs: start.every,
    cron: start.cron,
    alerts: [...start.alerts],
  },
  steps: steps.map(({ name: step, kind, needs }) => ({ step, does: kind, needs: [...needs] })),
});

/** The newest event that the archive holds of what the model is asked about. */
async function archivedTo({ project, warehouse }: ApiDeps, pipeline: Pipeline): Promise<number> {
  const source = project.models.find(({ name }) => name === pipeline.model)?.request.source ?? '';
  const [row] = await warehouse.query<{ rows: number; last: number }>(
    `SELECT count() AS rows, max(toUnixTimestamp64Milli(time)) AS last FROM ${quoteName(tables.events(project.prefix, source))}`,
  );
  if (row === undefined || row.rows === 0)
    throw new Problem(
      409,
      'empty_archive',
      `The archive of ${source} is empty: import history first, or say \`at\`.`,
    );
  return row.last;
}

const trainingSchema = z.looseObject({
  id: z.string(),
  kind: z.string(),
  subject: z.string(),
  parent: z.string(),
  state: z.enum(['done', 'failed']),
  startedAt: epochMs,
  finishedAt: epochMs,
  loss: z.number().nullable(),
  error: z.string(),
});

function trainingRuns({ project, warehouse }: ApiDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/runs',
      name: 'listRuns',
      tag: 'runs',
      summary: 'Trainings, tunings and their trials, the newest first',
      access: LOOK,
      query: z.strictObject({
        subject: nameSchema.optional().describe('Only of this model.'),
        parent: nameSchema.optional().describe('Only trials of this tuning.'),
        state: z.enum(['done', 'failed']).optional(),
        limit: limitQuery(1_000, 50),
      }),
      answers: [{ status: 200, description: 'Runs.', schema: z.object({ runs: z.array(trainingSchema) }) }],
      handle: async ({ query: { subject, parent, state, limit } }) => ({
        runs: await readRuns(warehouse, project.prefix, {
          limit,
          ...(subject === undefined ? {} : { subject }),
          ...(parent === undefined ? {} : { parent }),
          ...(state === undefined ? {} : { state }),
        }),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/runs/{run}',
      name: 'getRun',
      tag: 'runs',
      summary: 'One run with its parameters and figures',
      access: LOOK,
      params: atRun,
      answers: [{ status: 200, description: 'The run.', schema: trainingSchema }],
      handle: async ({ params }) => {
        const run = await readRun(warehouse, project.prefix, params.run);
        if (run === null)
          throw new Problem(404, 'unknown_run', `There is no run '${params.run}' (GET /v1/runs).`);
        return run;
      },
    }),
  ];
}
