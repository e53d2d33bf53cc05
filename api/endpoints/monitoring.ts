import { z } from 'zod';
import { type MeasureQuery, readMeasures } from '../../monitoring/measures.ts';
import { eventTimeFinished, nextTick, readTicks } from '../../monitoring/progress.ts';
import { LABEL_SUBJECT, MEASURE_KINDS, type Measure } from '../../schemas/monitoring.ts';
import type { ApiDeps } from '../deps.ts';
import { modelOf } from '../find.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, nameSchema, timeQuery } from '../schemas.ts';

const measureSchema = z.object({
  kind: z.enum(MEASURE_KINDS),
  statistic: z.string(),
  model: z.string().describe('Empty where it is of no model.'),
  version: z.number().int().describe('0 where it is of no version.'),
  subject: z.string().describe('Feature, source, view, code or process; empty for the whole.'),
  slice: z.string().describe('origin=ORD; empty for all requests.'),
  from: epochMs,
  to: epochMs,
  tick: epochMs,
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
  rows: z.number(),
  threshold: z.number().nullable(),
  fired: z.boolean(),
  detail: z.unknown().describe('What else belongs to it.'),
});

const measuresSchema = z.object({ measures: z.array(measureSchema) });
const answers = [{ status: 200, description: 'In the order of their windows.', schema: measuresSchema }];

const plain = (measures: readonly Measure[]) => ({
  measures: measures.map(({ detail, ...rest }) => ({
    ...rest,
    detail: detail === '' ? null : (JSON.parse(detail) as unknown),
  })),
});

const span = {
  from: timeQuery.optional().describe('Windows that end after this event time.'),
  to: timeQuery.optional().describe('Windows that end at or before this event time.'),
};
const at = timeQuery.optional().describe('The tick at which they were measured; default: the newest.');

/** Ticks that are looked at for one with drift. */
const TICKS_BACK = 10;

export function monitoringRoutes({ project, warehouse, clock }: ApiDeps): Route[] {
  const read = (query: MeasureQuery) => readMeasures(warehouse, project.prefix, query);
  const within = (query: { readonly from?: number | undefined; readonly to?: number | undefined }) => ({
    ...(query.from === undefined ? {} : { endAfter: query.from }),
    ...(query.to === undefined ? {} : { endUntil: query.to }),
  });
  /** The newest first: a window without requests is not compared, and the one before it tells more than nothing. */
  const newestTicks = async () =>
    (await readTicks(warehouse, project.prefix))
      .slice(-TICKS_BACK)
      .reverse()
      .map(({ tick }) => tick);
  const newestTick = async () => (await readTicks(warehouse, project.prefix)).at(-1)?.tick;
  return [
    route({
      method: 'GET',
      path: '/v1/models/{model}/quality',
      name: 'getQuality',
      tag: 'monitoring',
      summary: 'Figures by window and version, with intervals; estimates while labels are pending',
      access: LOOK,
      params: z.strictObject({ model: nameSchema }),
      query: z.strictObject({
        ...span,
        slice: z
          .string()
          .max(300)
          .optional()
          .describe('origin=ORD, or origin for all of that name; default: all requests.'),
      }),
      answers,
      handle: async ({ params, query }) => {
        const { name: model } = modelOf(project, params.model);
        const { slice = '' } = query;
        const whole = slice === '' || slice.includes('=');
        const found = await read({
          kinds: ['quality', 'estimate'],
          model,
          ...within(query),
          ...(whole ? { slice } : {}),
        });
        return plain(whole ? found : found.filter((one) => one.slice.startsWith(`${slice}=`)));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{model}/drift',
      name: 'getDrift',
      tag: 'monitoring',
      summary: 'Features and scores of one window against those before it',
      access: LOOK,
      params: z.strictObject({ model: nameSchema }),
      description: 'Without `at` those of the newest tick at which there was drift to measure.',
      query: z.strictObject({ at }),
      answers,
      handle: async ({ params, query }) => {
        const { name: model } = modelOf(project, params.model);
        const ticks = query.at === undefined ? await newestTicks() : [query.at];
        let newest: readonly Measure[] = [];
        for (const tick of ticks) {
          const found = await read({ kinds: ['drift', 'detector'], model, tick });
          // Labels come after requests do: a window with these alone had no request to compare.
          if (found.some(({ kind, subject }) => kind === 'drift' && subject !== LABEL_SUBJECT))
            return plain(found);
          if (newest.length === 0) newest = found;
        }
        return plain(newest);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/data',
      name: 'getData',
      tag: 'monitoring',
      summary: 'Volume, refusals, nulls, ranges and freshness at one tick',
      access: LOOK,
      query: z.strictObject({ at }),
      answers,
      handle: async ({ query }) => {
        const tick = query.at ?? (await newestTick());
        return plain(tick === undefined ? [] : await read({ kinds: ['data', 'freshness'], tick }));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/ticks',
      name: 'listTicks',
      tag: 'monitoring',
      summary: 'Ticks of event time that were measured, and which one is next',
      access: LOOK,
      answers: [
        {
          status: 200,
          description: 'Ticks in their order.',
          schema: z.object({
            ticks: z.array(
              z.object({ tick: epochMs, state: z.enum(['measured', 'finished']), detail: z.unknown() }),
            ),
            next: epochMs.nullable(),
            finished: epochMs.nullable().describe('Event time up to which the archive is whole.'),
          }),
        },
      ],
      handle: async () => {
        const [ticks, next, finished] = await Promise.all([
          readTicks(warehouse, project.prefix),
          nextTick({ project, warehouse }),
          eventTimeFinished({ project, warehouse, now: clock.now() }),
        ]);
        return {
          ticks: ticks.map(({ tick, state, detail }) => ({
            tick,
            state,
            detail: detail === '' ? null : (JSON.parse(detail) as unknown),
          })),
          next,
          finished,
        };
      },
    }),
  ];
}
