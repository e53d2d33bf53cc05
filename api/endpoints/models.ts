import { z } from 'zod';
import type { ModelHistory, VersionState } from '../../infrastructure/registry/history.ts';
import {
  type Change,
  createModelRegistry,
  type ModelRegistry,
} from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { mustScore } from '../../pipelines/rollout/can-score.ts';
import {
  type Author,
  beforeOf,
  promote,
  retire,
  rollBack,
  toChallenger,
} from '../../pipelines/rollout/moves.ts';
import type { Model } from '../../schemas/project.ts';
import { MODEL_STATES, type ModelVersion } from '../../schemas/records/model-version.ts';
import type { ApiDeps } from '../deps.ts';
import { modelOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { type Caller, type Route, route } from '../route.ts';
import { epochMs, nameSchema, reasonSchema, timeSchema } from '../schemas.ts';

const changeSchema = z.looseObject({
  change: z.number().int(),
  version: z.number().int(),
  state: z.enum(MODEL_STATES),
  at: epochMs.describe('Wall clock, epoch ms.'),
  by: z.string(),
  reason: z.string(),
  effectiveFrom: epochMs
    .nullable()
    .describe('First request that it holds for, by event time; null: all unanswered.'),
  evidence: z.unknown(),
});

const versionSchema = z.looseObject({
  model: z.string(),
  version: z.number().int(),
  state: z.enum(MODEL_STATES),
  artefact: z.string().describe('SHA-256.'),
  layout: z.string().describe('Hash of the names of its features.'),
  guards: z.number().int().nullable().describe('Champion that it watches from the shadow.'),
  fits: z.boolean().describe('Whether the project still declares its layout.'),
  since: changeSchema.describe('The change that made it what it is.'),
});

const modelSchema = z.object({
  model: z.string(),
  request: z.object({ source: z.string(), eventType: z.string() }),
  features: z.array(z.string()),
  layout: z.string(),
  threshold: z.number(),
  champion: z.number().int().nullable(),
  versions: z.array(versionSchema),
});

/** With the evidence as JSON. */
function readable(change: ModelVersion): object {
  try {
    return { ...change, evidence: JSON.parse(change.evidence) as unknown };
  } catch {
    return change;
  }
}

const readableVersion = (model: Model, { since, registered: _, location: __, ...rest }: VersionState) => ({
  ...rest,
  fits: rest.layout === model.layoutHash,
  since: readable(since),
});

function readableModel(model: Model, { champion, versions }: ModelHistory) {
  return {
    model: model.name,
    request: model.request,
    features: model.features.map(({ name }) => name),
    layout: model.layoutHash,
    threshold: model.threshold,
    champion: champion?.version ?? null,
    versions: versions.map((one) => readableVersion(model, one)),
  };
}

export const authorOf = ({ name }: Caller): string => `${name}, by HTTP`;

export const atVersion = z.strictObject({
  model: nameSchema,
  version: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, 'is no number of a version')
    .transform(Number),
});

export function modelRoutes({ project, kafka, codecs, artefacts, clock }: ApiDeps): Route[] {
  const registry = createModelRegistry({
    kafka,
    codec: codecs.models,
    prefix: project.prefix,
    now: () => clock.now(),
  });
  return [
    route({
      method: 'GET',
      path: '/v1/models',
      name: 'listModels',
      tag: 'models',
      summary: 'The models of the project, and their versions',
      access: LOOK,
      answers: [{ status: 200, description: 'All.', schema: z.object({ models: z.array(modelSchema) }) }],
      handle: async () => {
        const histories = await registry.histories();
        return {
          models: await Promise.all(
            project.models.map(async (model) =>
              readableModel(
                model,
                histories.find((one) => one.model === model.name) ?? (await registry.history(model.name)),
              ),
            ),
          ),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{model}',
      name: 'getModel',
      tag: 'models',
      summary: 'One model, its versions, and every change with its reason',
      access: LOOK,
      params: z.strictObject({ model: nameSchema }),
      answers: [
        {
          status: 200,
          description: 'The model.',
          schema: modelSchema.extend({ changes: z.array(changeSchema) }),
        },
      ],
      handle: async ({ params }) => {
        const model = modelOf(project, params.model);
        const history = await registry.history(model.name);
        return { ...readableModel(model, history), changes: history.changes.map(readable) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{model}/versions/{version}',
      name: 'getVersion',
      tag: 'models',
      summary: 'One version: its manifest with its figures, and what became of it',
      access: LOOK,
      params: atVersion,
      answers: [
        {
          status: 200,
          description: 'The version.',
          schema: versionSchema.extend({
            manifest: z.looseObject({}).nullable().describe('Null where the artefact is not to be had here.'),
            changes: z.array(changeSchema),
          }),
        },
      ],
      handle: async ({ params }) => {
        const model = modelOf(project, params.model);
        const history = await registry.history(model.name);
        const found = history.versions.find(({ version }) => version === params.version);
        if (found === undefined)
          throw new Problem(404, 'unknown_version', `${model.name} has no version ${params.version}.`);
        const bytes = await artefacts.get(found.artefact).catch(() => null);
        return {
          ...readableVersion(model, found),
          manifest: bytes === null ? null : parseArtefact(bytes, found.artefact).manifest,
          changes: history.changes.filter(({ version }) => version === params.version).map(readable),
        };
      },
    }),
    ...moves({ project, artefacts }, registry),
  ];
}

const moveBody = z.strictObject({
  reason: reasonSchema,
  effective_from: timeSchema
    .optional()
    .describe('First request, by event time, that it holds for; default: every one not yet answered.'),
});

const moved = [
  {
    status: 200,
    description: 'What was appended to the registry.',
    schema: z.object({ changes: z.array(changeSchema) }),
  },
];
const refusals = {
  409: 'The states do not allow it, the version cannot score, or somebody else changed the model meanwhile.',
};

function moves(
  { project, artefacts }: Pick<ApiDeps, 'project' | 'artefacts'>,
  registry: ModelRegistry,
): Route[] {
  const authored = (caller: Caller, body: z.output<typeof moveBody>): Author => ({
    by: authorOf(caller),
    reason: body.reason.trim(),
    effectiveFrom: body.effective_from ?? null,
  });
  async function append(model: Model, decide: (history: ModelHistory) => readonly Change[]) {
    const { changes } = await registry.append(model.name, decide);
    return { changes: changes.map(readable) };
  }
  const shared = {
    tag: 'models',
    access: CHANGE,
    answers: moved,
    problems: refusals,
    changes: true,
  } as const;
  return [
    route({
      ...shared,
      method: 'POST',
      path: '/v1/models/{model}/versions/{version}/promote',
      name: 'promoteVersion',
      summary: 'Make a candidate or challenger the champion',
      description: 'The champion before it goes on in the shadow as its guard, unless `guard` is false.',
      params: atVersion,
      body: {
        json: moveBody.extend({ guard: z.boolean().default(true) }),
        example: { reason: 'reviewed with the team' },
      },
      handle: async ({ params, body, caller }) => {
        const model = modelOf(project, params.model);
        await mustScore(model, registry, artefacts, params.version);
        return append(model, promote(params.version, authored(caller, body), body.guard));
      },
    }),
    route({
      ...shared,
      method: 'POST',
      path: '/v1/models/{model}/versions/{version}/shadow',
      name: 'shadowVersion',
      summary: 'Score a candidate beside the champion, on live requests',
      params: atVersion,
      body: { json: moveBody, example: { reason: 'imported, to be tried' } },
      handle: async ({ params, body, caller }) => {
        const model = modelOf(project, params.model);
        await mustScore(model, registry, artefacts, params.version);
        return append(model, toChallenger(params.version, authored(caller, body)));
      },
    }),
    route({
      ...shared,
      method: 'POST',
      path: '/v1/models/{model}/versions/{version}/retire',
      name: 'retireVersion',
      summary: 'Take a candidate or challenger out',
      params: atVersion,
      body: { json: moveBody, example: { reason: 'trained on bad labels' } },
      handle: async ({ params, body, caller }) =>
        append(modelOf(project, params.model), retire(params.version, authored(caller, body))),
    }),
    route({
      ...shared,
      method: 'POST',
      path: '/v1/models/{model}/rollback',
      name: 'rollBackModel',
      summary: 'Bring back the champion before this one',
      params: z.strictObject({ model: nameSchema }),
      body: { json: moveBody, example: { reason: 'scores look wrong since noon' } },
      handle: async ({ params, body, caller }) => {
        const model = modelOf(project, params.model);
        const before = beforeOf(await registry.history(model.name));
        if (before !== null) await mustScore(model, registry, artefacts, before.version);
        return append(model, rollBack(authored(caller, body)));
      },
    }),
  ];
}
