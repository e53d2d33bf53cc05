import { z } from 'zod';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { VersionState } from '../../infrastructure/registry/history.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { SHADOW_CODES } from '../../models/rollout/sequential.ts';
import { eventTimeFinished } from '../../monitoring/progress.ts';
import { shadowLooks } from '../../pipelines/rollout/shadow-looks.ts';
import { tables } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import type { ApiDeps } from '../deps.ts';
import { modelOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs } from '../schemas.ts';
import { atVersion } from './models.ts';

const inputsSchema = z.object({
  rows: z.number().int().describe('Rows that were kept of those that it learnt from.'),
  features: z.array(
    z.object({
      name: z.string(),
      nulls: z.number().describe('Share of the rows without a value.'),
      quantiles: z
        .array(z.number())
        .nullable()
        .describe('Least value, the nine deciles, largest value; null where no row has one.'),
    }),
  ),
});

const bound = z.number().nullable();
const looksSchema = z.object({
  champion: z.number().int().nullable().describe('Version that it was scored beside.'),
  bar: z.number().describe('Evidence that decides: 1 / alpha.'),
  code: z.enum(SHADOW_CODES),
  sentence: z.string(),
  looks: z.array(
    z.object({
      to: epochMs,
      rows: z.number().int(),
      blocks: z.number().int(),
      gain: z
        .object({ value: bound, low: bound, high: bound })
        .describe('Nats of log loss that a request gains over the champion.'),
      evidence: z.object({ better: z.number(), tooSmall: z.number(), worse: z.number() }),
    }),
  ),
});

/** What a version learnt from, and how its shadow test went. */
export function modelLookRoutes(deps: ApiDeps): Route[] {
  const { project, kafka, codecs, clock, warehouse } = deps;
  const registry = createModelRegistry({
    kafka,
    codec: codecs.models,
    prefix: project.prefix,
    now: () => clock.now(),
  });
  async function find(model: Model, version: number): Promise<VersionState> {
    const { versions } = await registry.history(model.name);
    const found = versions.find((one) => one.version === version);
    if (found !== undefined) return found;
    throw new Problem(404, 'unknown_version', `${model.name} has no version ${version}.`);
  }
  return [
    route({
      method: 'GET',
      path: '/v1/models/{model}/versions/{version}/inputs',
      name: 'getVersionInputs',
      tag: 'models',
      summary: 'How the values of each feature were spread where a version learnt',
      access: LOOK,
      params: atVersion,
      answers: [{ status: 200, description: 'In the order of its features.', schema: inputsSchema }],
      handle: async ({ params }) => {
        const model = modelOf(project, params.model);
        return inputsOf(deps, model, await find(model, params.version));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{model}/versions/{version}/shadow',
      name: 'getShadowTest',
      tag: 'models',
      summary: 'The evidence of a shadow test as it grew',
      description:
        'The test that promotes or refuses a challenger, judged once more from the archive, look by look.',
      access: LOOK,
      params: atVersion,
      answers: [{ status: 200, description: 'Looks in the order of event time.', schema: looksSchema }],
      timeoutMs: 120_000,
      handle: async ({ params }) => {
        const model = modelOf(project, params.model);
        await find(model, params.version);
        const upTo = await eventTimeFinished({ project, warehouse, now: clock.now() }, model);
        const seen = await shadowLooks(
          { registry, project, warehouse },
          { model, version: params.version, upTo: upTo ?? 0 },
        );
        return {
          ...seen,
          looks: seen.looks.map(({ gain: { value, low, high }, ...look }) => ({
            ...look,
            gain: { value, low, high },
          })),
        };
      },
    }),
  ];
}

interface Spread {
  readonly rows: number;
  readonly nulls: number;
  /** Those that are no number come as text. */
  readonly quantiles: ReadonlyArray<number | string>;
}

async function inputsOf(
  { project, warehouse, artefacts }: Pick<ApiDeps, 'project' | 'warehouse' | 'artefacts'>,
  model: Model,
  { version, artefact, layout }: VersionState,
) {
  const spreads = await warehouse.query<Spread>(
    `SELECT count() AS rows, countIf(isNaN(x)) AS nulls,
       quantilesIf(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)(x, NOT isNaN(x)) AS quantiles
     FROM (SELECT place, vector[place] AS x FROM ${quoteName(tables.references(project.prefix, model.name))} FINAL
       ARRAY JOIN arrayEnumerate(vector) AS place
       WHERE version = {version:Int32} AND layout = {layout:String})
     GROUP BY place ORDER BY place`,
    { version, layout },
  );
  const names =
    model.layoutHash === layout ? model.features.map(({ name }) => name) : await namesOf(artefacts, artefact);
  return {
    rows: spreads[0]?.rows ?? 0,
    features: spreads.map(({ rows, nulls, quantiles }, i) => ({
      name: names[i] ?? `#${i}`,
      nulls: nulls / rows,
      quantiles: quantiles.every((one) => typeof one === 'number') ? quantiles : null,
    })),
  };
}

/** Of a version that learnt from other features than the project declares now. */
async function namesOf(artefacts: ApiDeps['artefacts'], address: string): Promise<readonly string[]> {
  const bytes = await artefacts.get(address).catch(() => null);
  return bytes === null ? [] : parseArtefact(bytes, address).manifest.features;
}
