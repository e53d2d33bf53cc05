import { z } from 'zod';
import { answersOf } from '../../infrastructure/clickhouse/tables.ts';
import { topics } from '../../schemas/names.ts';
import { explain } from '../../streams/explain/explain.ts';
import type { ApiDeps } from '../deps.ts';
import { modelOf } from '../find.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, limitQuery, nameSchema, timeQuery } from '../schemas.ts';

const rowSchema = z.object({
  id: z.string(),
  requestId: z.string(),
  requestTime: epochMs,
  status: z.enum(['scored', 'refused']),
  reason: z.string().nullable(),
  modelVersion: z.number().int(),
  score: z.number().nullable(),
  decision: z.boolean().nullable(),
  asked: z.boolean().describe('Whether it was asked over HTTP, not by an event.'),
  partition: z.number().int().describe('Of what asked for it.'),
  offset: z.number().int(),
});

const explanationSchema = z.object({
  id: z.string(),
  requestId: z.string(),
  requestTime: epochMs,
  model: z.string(),
  modelVersion: z.number().int(),
  artefact: z.string().describe('SHA-256; empty where no version answered.'),
  status: z.enum(['scored', 'refused']),
  reason: z.string().nullable(),
  score: z.number().nullable(),
  decision: z.boolean().nullable(),
  threshold: z.number().nullable(),
  recomputed: z.number().nullable().describe('Computed now, by the artefact that the record names.'),
  same: z.boolean().nullable().describe('Whether it is the same to the last bit.'),
  features: z.array(
    z.object({
      name: z.string(),
      value: z.number().nullable(),
      contribution: z
        .number()
        .nullable()
        .describe('What it adds to the log odds of the score; null where nobody can say.'),
    }),
  ),
  contributions: z
    .object({
      method: z.enum(['shapley', 'gradient_input']),
      base: z.number().describe('Log odds without any feature.'),
      logit: z.number().describe('Log odds before calibration: the base and all contributions.'),
    })
    .nullable()
    .describe('Null where no version answered, and of trees that do not say which rows they learnt from.'),
  reads: z.array(
    z.object({
      read: z.string(),
      view: z.string(),
      entity: z.string(),
      head: epochMs,
      asOf: epochMs.describe('Every event before this is in the values, and none after it.'),
      ageMs: z.number(),
    }),
  ),
  absent: z
    .array(z.object({ read: z.string(), reason: z.string() }))
    .describe('Reads whose features are null whatever their events.'),
  source: z.object({ topic: z.string(), partition: z.number().int(), offset: z.number() }),
  ms: z.object({
    gate: z.number(),
    read: z.number(),
    score: z.number(),
    total: z.number().describe("From the arrival of the event to the prediction's."),
  }),
  beside: z
    .array(
      z.object({
        id: z.string(),
        version: z.number().int(),
        score: z.number().nullable(),
        reason: z.string().nullable(),
      }),
    )
    .describe('What other versions scored in the shadow, from the same vector.'),
  outcome: z
    .object({ label: z.boolean(), at: epochMs.describe('Event time at which it was known.') })
    .nullable()
    .describe('The label of the request; null where it has not come.'),
  sql: z.string().describe('Shows the record with each feature in a column of its name.'),
});

interface Row {
  readonly id: string;
  readonly requestId: string;
  readonly requestTime: number;
  readonly status: string;
  readonly reason: string;
  readonly modelVersion: number;
  readonly score: number | null;
  readonly decision: boolean | null;
  readonly asked: number;
  readonly partition: number;
  readonly offset: number;
}

export function predictionRoutes({ project, warehouse, artefacts }: ApiDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/models/{model}/predictions',
      name: 'listPredictions',
      tag: 'predictions',
      summary: 'What a model answered, the newest request first',
      description: 'From the archive: it is there some hundred milliseconds after it was answered.',
      access: LOOK,
      params: z.strictObject({ model: nameSchema }),
      query: z.strictObject({
        entity: z
          .string()
          .min(1)
          .max(1_000)
          .optional()
          .describe('Only those that read this entity, of any view.'),
        request: z.string().min(1).max(500).optional().describe('Only of this request.'),
        status: z.enum(['scored', 'refused']).optional(),
        decision: z.enum(['yes', 'no']).optional().describe('Only those that said so.'),
        from: timeQuery.optional().describe('Requests from this event time on.'),
        to: timeQuery.optional().describe('Requests before this event time.'),
        limit: limitQuery(1_000, 100),
      }),
      answers: [
        { status: 200, description: 'Predictions.', schema: z.object({ predictions: z.array(rowSchema) }) },
      ],
      handle: async ({ params, query }) => {
        const model = modelOf(project, params.model);
        const { entity = '', request = '', status = '', decision = '', limit } = query;
        const rows = await warehouse.query<Row>(
          `SELECT id, request_id AS requestId, toUnixTimestamp64Milli(request_time) AS requestTime, status, reason,
             model_version AS modelVersion, score, decision, source_topic = {asked:String} AS asked,
             source_partition AS partition, source_offset AS offset
           FROM ${answersOf(project.prefix, model.name)}
           WHERE request_time >= fromUnixTimestamp64Milli({from:Int64}) AND request_time < fromUnixTimestamp64Milli({to:Int64})
             AND ({status:String} = '' OR status = {status:String})
             AND ({decision:String} = '' OR decision = ({decision:String} = 'yes'))
             AND ({request:String} = '' OR request_id = {request:String})
             AND ({entity:String} = '' OR arrayExists(r -> r.entity = {entity:String}, reads))
           ORDER BY request_time DESC, id LIMIT {limit:UInt32}`,
          {
            asked: topics.asked(project.prefix, model.name),
            from: clamped(query.from ?? EARLIEST),
            to: clamped(query.to ?? LATEST),
            entity,
            request,
            status,
            decision,
            limit,
          },
        );
        return {
          predictions: rows.map((row) => ({
            ...row,
            reason: row.reason === '' ? null : row.reason,
            asked: Boolean(row.asked),
          })),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{model}/predictions/{id}',
      name: 'explainPrediction',
      tag: 'predictions',
      summary: 'One prediction with all its inputs, and its score computed once more',
      description: '`id` is that of the prediction, of its request, or of a shadow score of it (…:v2).',
      access: LOOK,
      params: z.strictObject({ model: nameSchema, id: z.string().min(1).max(700) }),
      answers: [{ status: 200, description: 'The prediction.', schema: explanationSchema }],
      handle: async ({ params }) => {
        const model = modelOf(project, params.model);
        return explain({ project, model, warehouse, artefacts }, params.id);
      },
    }),
  ];
}

/** What ClickHouse's times hold: 1900 to 2299. */
const EARLIEST = -2_208_988_800_000;
const LATEST = 10_413_791_999_000;
export const clamped = (time: number) => Math.max(EARLIEST, Math.min(LATEST, time));
