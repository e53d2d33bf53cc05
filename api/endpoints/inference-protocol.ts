import { z } from 'zod';
import type { EventRecord, FieldType } from '../../schemas/event.ts';
import type { ApiDeps } from '../deps.ts';
import { modelOf } from '../find.ts';
import type { Predictor } from '../predictor.ts';
import { Problem } from '../problem.ts';
import { ANYBODY, LOOK } from '../roles.ts';
import { Reply, type Route, route } from '../route.ts';
import { nameSchema } from '../schemas.ts';

/** The Open Inference Protocol (KServe V2), so that its clients can ask: a tensor of one dimension for each field of the request. */

const MAX_ROWS = 1_000;

const DATATYPES: Readonly<Record<FieldType, string>> = {
  string: 'BYTES',
  int: 'INT64',
  double: 'FP64',
  bool: 'BOOL',
  timestamp: 'INT64',
};

const tensorSchema = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.number().int()) });

const metadataSchema = z.object({
  name: z.string(),
  versions: z.array(z.string()).describe('The one that answers now.'),
  platform: z.string(),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
});

const inputSchema = z.strictObject({
  name: nameSchema,
  datatype: z.string().max(20),
  shape: z.array(z.int().min(0).max(MAX_ROWS)).min(1).max(2),
  parameters: z.record(z.string(), z.unknown()).optional(),
  data: z.array(z.unknown()).max(MAX_ROWS),
});

const requestSchema = z.strictObject({
  id: z.string().max(500).optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  inputs: z.array(inputSchema).min(1).max(500),
  outputs: z
    .array(z.strictObject({ name: nameSchema, parameters: z.record(z.string(), z.unknown()).optional() }))
    .max(10)
    .optional(),
});

const answerSchema = z.object({
  id: z.string().optional(),
  model_name: z.string(),
  model_version: z.string(),
  outputs: z.array(tensorSchema.extend({ data: z.array(z.union([z.number(), z.boolean(), z.string()])) })),
});

const OUTPUTS = [
  { name: 'score', datatype: 'FP64', shape: [-1] },
  { name: 'decision', datatype: 'BOOL', shape: [-1] },
  { name: 'id', datatype: 'BYTES', shape: [-1] },
] as const;

type Deps = Pick<ApiDeps, 'project' | 'models' | 'clock'> & { readonly version: string };

export function protocolRoutes(deps: Deps, predictorOf: (model: string) => Predictor): Route[] {
  const { project, models, clock, version } = deps;
  const championOf = (name: string) => models.get(name)?.current()(clock.now()).champion ?? null;
  const atModel = z.strictObject({ model: nameSchema });
  return [
    route({
      method: 'GET',
      path: '/v2',
      name: 'getServerMetadata',
      tag: 'open inference protocol',
      summary: 'What this server is',
      access: LOOK,
      answers: [
        {
          status: 200,
          description: 'The server.',
          schema: z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) }),
        },
      ],
      handle: async () => ({ name: 'millrace', version, extensions: [] }),
    }),
    ...(['live', 'ready'] as const).map((word) =>
      route({
        method: 'GET',
        path: `/v2/health/${word}`,
        name: word === 'live' ? 'getServerLive' : 'getServerReady',
        tag: 'open inference protocol',
        summary: word === 'live' ? 'Whether the server runs' : 'Whether each model has a champion',
        access: ANYBODY,
        answers: [{ status: 200, description: 'It does.', schema: z.object({ [word]: z.boolean() }) }],
        ...(word === 'ready' ? { problems: { 503: 'A model has no champion.' } } : {}),
        handle: async () => {
          if (word === 'ready' && project.models.some(({ name }) => championOf(name) === null))
            throw new Problem(503, 'not_ready', 'A model has no champion yet.');
          return { [word]: true };
        },
      }),
    ),
    route({
      method: 'GET',
      path: '/v2/models/{model}',
      name: 'getModelMetadata',
      tag: 'open inference protocol',
      summary: 'The tensors that a model takes and gives',
      access: LOOK,
      params: atModel,
      answers: [{ status: 200, description: 'The model.', schema: metadataSchema }],
      handle: async ({ params }) => {
        const { source } = predictorOf(params.model);
        const champion = championOf(params.model);
        return {
          name: params.model,
          versions: champion === null ? [] : [String(champion.version)],
          platform: 'millrace',
          inputs: [
            { name: 'id', datatype: 'BYTES', shape: [-1] },
            { name: 'time', datatype: 'INT64', shape: [-1] },
            ...source.fields.map(({ name, type }) => ({ name, datatype: DATATYPES[type], shape: [-1] })),
          ],
          outputs: OUTPUTS.map((one) => ({ ...one, shape: [...one.shape] })),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v2/models/{model}/ready',
      name: 'getModelReady',
      tag: 'open inference protocol',
      summary: 'Whether a model has a champion',
      access: LOOK,
      params: atModel,
      answers: [
        {
          status: 200,
          description: 'It has.',
          schema: z.object({ name: z.string(), ready: z.literal(true) }),
        },
      ],
      problems: { 503: 'It has none.' },
      handle: async ({ params }) => {
        const { name } = modelOf(project, params.model);
        if (championOf(name) === null) throw new Problem(503, 'not_ready', `${name} has no champion yet.`);
        return { name, ready: true };
      },
    }),
    inferRoute(predictorOf),
  ];
}

function inferRoute(predictorOf: (model: string) => Predictor): Route {
  return route({
    method: 'POST',
    path: '/v2/models/{model}/infer',
    name: 'infer',
    tag: 'open inference protocol',
    summary: 'Ask a model about one request or many',
    description:
      'Each input is a field of the requests, a tensor of one dimension with a value for each of them; `id` and `time` may be left out. The answers are those of POST /v1/models/{model}/predict, and are recorded as such.',
    access: LOOK,
    params: z.strictObject({ model: nameSchema }),
    body: {
      json: requestSchema,
      example: {
        inputs: [
          { name: 'origin', datatype: 'BYTES', shape: [2], data: ['ORD', 'SFO'] },
          { name: 'destination', datatype: 'BYTES', shape: [2], data: ['SFO', 'ORD'] },
        ],
      },
    },
    answers: [{ status: 200, description: 'A score for each.', schema: answerSchema }],
    problems: {
      409: 'One of them has no score, for the reason that `code` names.',
      422: 'The tensors do not fit together, or a row is no request of the model.',
    },
    handle: async ({ params, body }) => {
      const predictor = predictorOf(params.model);
      const wanted = wantedOutputs(body.outputs);
      const events = rowsOf(body.inputs).map((row, i) => readRow(predictor, row, i));
      const recorded = await predictor.ask(events, predictor.model.gate.maxWait);
      await Promise.all(recorded.map(({ placed }) => placed));
      const predictions = recorded.map(({ prediction }) => prediction);
      const refused = predictions.findIndex(({ status }) => status === 'refused');
      if (refused >= 0) {
        const reason = predictions[refused]?.reason ?? 'refused';
        throw failure(409, reason, `Row ${refused + 1} has no score: ${reason}.`);
      }
      const data = {
        score: predictions.map(({ score }) => score ?? 0),
        decision: predictions.map(({ decision }) => decision ?? false),
        id: predictions.map(({ id }) => id),
      };
      return new Reply(200, {
        ...(body.id === undefined ? {} : { id: body.id }),
        model_name: params.model,
        model_version: String(predictions[0]?.modelVersion ?? 0),
        outputs: OUTPUTS.filter(({ name }) => wanted.has(name)).map(({ name, datatype }) => ({
          name,
          datatype,
          shape: [events.length],
          data: data[name],
        })),
      });
    },
  });
}

/** Clients of the protocol look for `error`. */
const failure = (status: number, code: string, detail: string) =>
  new Problem(status, code, detail, { extra: { error: detail } });

function wantedOutputs(outputs: z.output<typeof requestSchema>['outputs']): ReadonlySet<string> {
  const known = OUTPUTS.map(({ name }) => name as string);
  const names = outputs?.map(({ name }) => name) ?? known;
  const strange = names.find((name) => !known.includes(name));
  if (strange !== undefined)
    throw failure(422, 'unknown_output', `There is no output '${strange}'; there are ${known.join(', ')}.`);
  return new Set(names);
}

/** Rows of tensors: all of one length. */
function rowsOf(inputs: z.output<typeof requestSchema>['inputs']): Array<Record<string, unknown>> {
  const count = inputs[0]?.data.length ?? 0;
  if (count === 0) throw failure(422, 'no_rows', 'The tensors are empty.');
  const names = new Set<string>();
  for (const { name, shape, data } of inputs) {
    if (names.has(name))
      throw failure(422, 'repeated_input', `Tensor '${name}' is there twice: leave one out.`);
    names.add(name);
    const elements = shape.reduce((product, one) => product * one, 1);
    if (elements !== data.length || data.length !== count || shape[0] !== count)
      throw failure(
        422,
        'bad_shape',
        `Tensor '${name}' has ${data.length} elements and the shape [${shape.join(', ')}]; all must be of [${count}].`,
      );
  }
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(inputs.map(({ name, data }) => [name, data[row]])),
  );
}

function readRow(predictor: Predictor, row: Record<string, unknown>, i: number): EventRecord {
  try {
    return predictor.read(row);
  } catch (error) {
    if (error instanceof Problem) throw failure(422, error.code, `Row ${i + 1}: ${error.message}`);
    throw error;
  }
}
