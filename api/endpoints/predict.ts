import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { EventRecord } from '../../schemas/event.ts';
import { ABSENT_REASONS } from '../../schemas/records/prediction.ts';
import { PREDICTION_REFUSALS } from '../../schemas/refusal.ts';
import type { Predictor, Recorded } from '../predictor.ts';
import { Problem, problemOf } from '../problem.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, nameSchema, scalarSchema } from '../schemas.ts';

const MAX_DEADLINE_MS = 20_000;

const bodySchema = z.strictObject({
  request: z
    .record(z.string(), scalarSchema)
    .describe(
      'The event that asks: the fields of its source, `id` (drawn where it is left out) and `time` (ms or ISO 8601; default now).',
    ),
  deadline_ms: z
    .number()
    .min(1)
    .max(MAX_DEADLINE_MS)
    .optional()
    .describe(
      'An answer within this, whatever happens. Default: as long as the gate of the model waits, and Kafka takes for the record.',
    ),
  on_refusal: z
    .enum(['error', 'value', 'last'])
    .default('error')
    .describe(
      'Where there is no score, or none in time: `error` says so, `value` answers `value`, `last` what the same entities got last from this server.',
    ),
  value: z.number().min(0).max(1).optional().describe('For `on_refusal: value`.'),
  vector: z.boolean().default(false).describe('Whether the features are wanted as well.'),
});

type Body = z.output<typeof bodySchema>;

const answerSchema = z.object({
  id: z.string().describe('Of the prediction: GET /v1/predictions/{id} finds it once it is archived.'),
  requestId: z.string(),
  requestTime: epochMs,
  model: z.string(),
  modelVersion: z.number().int().describe('0 where no version answered.'),
  status: z.enum(['scored', 'refused']),
  reason: z
    .string()
    .nullable()
    .describe(
      `Why there is no score: ${PREDICTION_REFUSALS.join(', ')}, deadline, unavailable. Null where there is one.`,
    ),
  score: z.number().nullable(),
  decision: z.boolean().nullable(),
  fallback: z
    .enum(['value', 'last'])
    .nullable()
    .describe('Where the score is not the answer of the model now.'),
  lastTime: epochMs.nullable().describe('Request time of the score that `last` answers with.'),
  reads: z.array(
    z.object({
      read: z.string(),
      view: z.string(),
      entity: z.string(),
      head: epochMs.describe('The edge that the request asks for.'),
      asOf: epochMs.describe('The edge that was read.'),
      ageMs: z.number(),
    }),
  ),
  absent: z
    .array(z.object({ read: z.string(), reason: z.enum(ABSENT_REASONS) }))
    .describe('Reads whose features are null, as the model allows.'),
  features: z.record(z.string(), z.number().nullable()).nullable(),
  record: z
    .object({ topic: z.string(), partition: z.number().int(), offset: z.number().int().nullable() })
    .nullable()
    .describe(
      'Where the answer stands; null where the deadline came before Kafka acknowledged it, or Kafka is away and `on_refusal` is not `error`.',
    ),
  ms: z.object({ wait: z.number(), read: z.number(), score: z.number() }).nullable(),
});

export function predictRoutes(predictorOf: (model: string) => Predictor): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/models/{model}/predict',
      name: 'predict',
      tag: 'models',
      summary: 'Ask a model, and wait for its answer',
      description:
        'The same code as the stream: the same answer, bit for bit, at the same as-of. The answer is written to a topic of its own and archived and monitored with the others; the event itself is not sent (POST /v1/events does that).',
      access: LOOK,
      params: z.strictObject({ model: nameSchema }),
      body: {
        json: bodySchema,
        example: {
          request: { origin: 'ORD', destination: 'SFO' },
          deadline_ms: 50,
          on_refusal: 'value',
          value: 0.2,
        },
      },
      answers: [
        {
          status: 200,
          description: 'A score, or what was to be answered without one.',
          schema: answerSchema,
        },
      ],
      problems: {
        409: 'There is no score, for the reason that `code` names; `prediction` holds the record.',
        422: 'This is no request of the model.',
      },
      handle: async ({ params, body }) => {
        const predictor = predictorOf(params.model);
        if (body.on_refusal === 'value' && body.value === undefined)
          throw new Problem(422, 'no_value', 'on_refusal is value, and there is no value.');
        return predict(predictor, predictor.read(body.request), body);
      },
    }),
  ];
}

const LATE: unique symbol = Symbol('late');

async function predict(predictor: Predictor, event: EventRecord, body: Body): Promise<object> {
  const { deadline_ms: deadline } = body;
  const started = performance.now();
  const left = () =>
    deadline === undefined ? undefined : Math.max(0, deadline - (performance.now() - started));
  const waitMs = Math.min(predictor.model.gate.maxWait, deadline ?? Number.POSITIVE_INFINITY);
  let recorded: Recorded | undefined;
  try {
    const asked = await within(predictor.ask([event], waitMs), left());
    // Its record is written all the same, once it is there.
    if (asked === LATE) return fallBack(predictor, event, body, 'deadline', null);
    [recorded] = asked;
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status !== 503 || body.on_refusal === 'error') throw error;
    return fallBack(predictor, event, body, 'unavailable', null);
  }
  if (recorded === undefined) throw new Error('an event was asked about, and there is no answer');
  const placed = await within(recorded.placed, left()).catch((error: unknown): typeof LATE => {
    // Who declared what to do without an answer has one here, though Kafka does not have it.
    if (body.on_refusal === 'error') throw error;
    return LATE;
  });
  const record = placed === LATE ? null : placed;
  const { prediction } = recorded;
  if (prediction.status === 'refused')
    return fallBack(predictor, event, body, prediction.reason ?? 'refused', { ...recorded, record });
  return {
    ...plain(recorded, record, body),
    score: prediction.score,
    decision: prediction.decision,
  };
}

type Known = Recorded & { readonly record: object | null };

/** What was to be answered without a score. Throws Problem where that is to say so. */
function fallBack(
  predictor: Predictor,
  event: EventRecord,
  body: Body,
  reason: string,
  known: Known | null,
): object {
  const { model } = predictor;
  const base =
    known === null
      ? { ...nothing(predictor, event), status: 'refused', reason }
      : plain(known, known.record, body);
  if (body.on_refusal === 'value') {
    const score = body.value ?? 0;
    return { ...base, score, decision: score >= model.threshold, fallback: 'value' };
  }
  const last = body.on_refusal === 'last' ? predictor.last(event) : null;
  if (last !== null)
    return {
      ...base,
      score: last.score,
      decision: last.decision,
      fallback: 'last',
      lastTime: last.requestTime,
    };
  throw new Problem(
    reason === 'deadline' ? 504 : reason === 'unavailable' ? 503 : 409,
    reason,
    `${model.name} gives no score: ${SENTENCES[reason] ?? reason}.${body.on_refusal === 'last' ? ' These entities have got none before from this server.' : ''}`,
    { extra: { prediction: base } },
  );
}

const SENTENCES: Readonly<Record<string, string>> = {
  behind: 'the time of the request is older than what the online store keeps',
  no_frontier:
    'its views have no state yet (some seconds after the first events they have; if not, look whether ingest and features run)',
  torn: 'the state of a view is being rebuilt',
  no_model: 'no version has been promoted yet (millrace train)',
  layout_mismatch: 'the champion was trained on another feature layout than the project declares now',
  missing_key: 'the request lacks a part of a key of its views',
  stale: 'the state of a view is older than the model allows (max_age)',
  deadline: 'the deadline came first',
  unavailable: 'the online store or Kafka does not answer',
};

const nothing = ({ model }: Predictor, event: EventRecord) => ({
  id: `${event.id}:${model.name}`,
  requestId: event.id,
  requestTime: event.time,
  model: model.name,
  modelVersion: 0,
  score: null,
  decision: null,
  fallback: null,
  lastTime: null,
  reads: [],
  absent: [],
  features: null,
  record: null,
  ms: null,
});

function plain(
  { prediction, model: answered }: Recorded,
  record: object | null,
  { vector }: Pick<Body, 'vector'>,
): object {
  const { id, requestId, requestTime, model, modelVersion, status, reason, reads, absent } = prediction;
  return {
    id,
    requestId,
    requestTime,
    model,
    modelVersion,
    status,
    reason,
    score: null,
    decision: null,
    fallback: null,
    lastTime: null,
    reads: reads.map(({ read, view, entity, head, asOf, ageMs }) => ({
      read,
      view,
      entity,
      head,
      asOf,
      ageMs,
    })),
    absent,
    features:
      vector && prediction.vector.length > 0
        ? Object.fromEntries(
            answered.features.map(({ name }, i) => {
              const value = prediction.vector[i] ?? Number.NaN;
              return [name, Number.isNaN(value) ? null : value];
            }),
          )
        : null,
    record,
    ms: { wait: prediction.waitMs, read: prediction.readMs, score: prediction.scoreMs },
  };
}

/** `LATE` where it takes longer; what fails afterwards fails for nobody. */
async function within<T>(work: Promise<T>, ms: number | undefined): Promise<T | typeof LATE> {
  if (ms === undefined) return work;
  work.catch(() => {});
  const done = new AbortController();
  try {
    return await Promise.race([work, sleep(ms, LATE, { signal: done.signal })]);
  } finally {
    done.abort();
  }
}
