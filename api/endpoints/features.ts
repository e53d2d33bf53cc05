import { z } from 'zod';
import { keyOfParts } from '../../processors/entity-key.ts';
import type { View } from '../../schemas/view.ts';
import { SnapshotReader } from '../../streams/inference/snapshot.ts';
import { createServedView } from '../../streams/inference/takeover.ts';
import {
  type FeatureAnswer,
  type FeatureRequest,
  ViewFeatures,
} from '../../streams/inference/view-features.ts';
import type { ApiDeps } from '../deps.ts';
import { viewOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, nameSchema, timeQuery, timeSchema } from '../schemas.ts';

const MAX_ENTITIES = 1_000;

const edges = {
  time: epochMs.describe('Event time of the request, epoch ms.'),
  asOf: epochMs.describe('Every event before this is in the values, and none after it. Epoch ms.'),
  sketchAsOf: epochMs.nullable().describe('The same of the sketches, where the view has any.'),
  ageMs: z.number().describe('time - asOf.'),
};

const oneSchema = z.object({
  view: z.string().describe('name@version'),
  entity: z.string(),
  ...edges,
  features: z.record(z.string(), z.number().nullable()).describe('By name; null where the window is empty.'),
});

const manySchema = z.object({
  view: z.string().describe('name@version'),
  names: z.array(z.string()).describe('Of the values, in their order.'),
  answers: z
    .array(
      z.union([
        z.object({
          entity: z.string(),
          status: z.literal('read'),
          ...edges,
          values: z.array(z.number().nullable()).describe('Null where the window is empty.'),
        }),
        z.object({
          entity: z.string(),
          status: z.literal('refused'),
          reason: z.enum(['behind', 'no_frontier', 'torn']),
        }),
      ]),
    )
    .describe('In the order of the entities.'),
});

const entitySchema = z.union([
  z.string().max(1_000),
  z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
]);

const ABOUT =
  'Read in one round trip to the online store, each view partition in one snapshot with its meta, by the reader that inference uses. `at` is the event time of an imagined request; left out it is the newest for which every value is exact. Times older than the store keeps are refused as `behind`: ask POST /v1/history. After a view has changed, its definition before answers until the new one has its past: `view` names which.';

/** Readers of the views by name, each of the definition that answers now. */
function createReaders(deps: Pick<ApiDeps, 'project' | 'before' | 'store' | 'clock'>) {
  const { project, before, store } = deps;
  const snapshots = new SnapshotReader(store);
  const readers = new Map<string, ViewFeatures>();
  const readerOf = (view: View): ViewFeatures => {
    const reader = readers.get(view.id) ?? new ViewFeatures(project.prefix, view, snapshots);
    readers.set(view.id, reader);
    return reader;
  };
  const served = new Map(project.views.map((view) => [view.name, createServedView(deps, view, before)]));
  return async (name: string): Promise<ViewFeatures> => {
    const viewNow = served.get(name);
    return readerOf(viewNow === undefined ? viewOf(project, name) : await viewNow());
  };
}

export function featureRoutes(deps: Pick<ApiDeps, 'project' | 'before' | 'store' | 'clock'>): Route[] {
  const readerOf = createReaders(deps);
  return [
    route({
      method: 'GET',
      path: '/v1/features/{view}',
      name: 'getFeatures',
      tag: 'features',
      summary: 'The features of one entity',
      description: ABOUT,
      access: LOOK,
      params: z.strictObject({ view: nameSchema }),
      query: z.strictObject({
        entity: z
          .string()
          .min(1)
          .max(1_000)
          .describe(
            'Key of the entity; several parts in the order that the view declares, with | between them.',
          ),
        at: timeQuery.optional().describe('Event time: epoch ms, or ISO 8601 with a zone.'),
        zone: nameSchema.optional().describe('IANA zone for periodic features; default UTC.'),
      }),
      answers: [{ status: 200, description: 'As of one edge.', schema: oneSchema }],
      problems: {
        409: 'There is no exact answer: `behind`, `no_frontier` or `torn`.',
        422: 'The key has another number of parts.',
      },
      handle: async ({ params, query }) => {
        const reader = await readerOf(params.view);
        const entity = keyOf(reader.view, query.entity);
        const [found] = await reader.read([{ entity, time: query.at ?? null, zone: zoneOf(query.zone) }]);
        if (found?.status !== 'read') throw refused(reader.view, found);
        return {
          view: reader.view.id,
          entity,
          ...edgesOf(found),
          features: Object.fromEntries(
            reader.view.features.map(({ name }, i) => [name, numberOrNull(found.values[i])]),
          ),
        };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/features/{view}',
      name: 'readFeatures',
      tag: 'features',
      summary: 'The features of many entities',
      description: `${ABOUT} One entity that cannot be answered does not keep the others from it.`,
      access: LOOK,
      params: z.strictObject({ view: nameSchema }),
      body: {
        json: z.strictObject({
          entities: z
            .array(entitySchema)
            .min(1)
            .max(MAX_ENTITIES)
            .describe('Keys as text, with | between their parts, or objects of the fields of the key.'),
          at: timeSchema.optional().describe('Event time: epoch ms, or ISO 8601 with a zone.'),
          zone: nameSchema.optional().describe('IANA zone for periodic features; default UTC.'),
        }),
        example: { entities: ['ORD', { origin: 'SFO' }], at: '2001-04-01T15:00:00Z' },
      },
      answers: [{ status: 200, description: 'An answer for each entity.', schema: manySchema }],
      problems: { 422: 'A key has other parts than the view declares.' },
      handle: async ({ params, body }) => {
        const reader = await readerOf(params.view);
        const zone = zoneOf(body.zone);
        const requests = body.entities.map(
          (given): FeatureRequest => ({ entity: keyOf(reader.view, given), time: body.at ?? null, zone }),
        );
        const found = await reader.read(requests);
        return {
          view: reader.view.id,
          names: reader.view.features.map(({ name }) => name),
          answers: found.map((one, i) => answerOf(requests[i]?.entity ?? '', one)),
        };
      },
    }),
  ];
}

function answerOf(entity: string, answer: FeatureAnswer) {
  return answer.status === 'read'
    ? { entity, status: answer.status, ...edgesOf(answer), values: Array.from(answer.values, numberOrNull) }
    : { entity, status: answer.status, reason: answer.reason };
}

function edgesOf({ time, edge }: Extract<FeatureAnswer, { status: 'read' }>) {
  return {
    time,
    asOf: edge.asOf,
    sketchAsOf: Number.isNaN(edge.sketchAsOf) ? null : edge.sketchAsOf,
    ageMs: time - edge.asOf,
  };
}

const numberOrNull = (value: number | undefined) =>
  value === undefined || Number.isNaN(value) ? null : value;

/** A zone that does not exist makes periodic features null, which nobody would find. */
function zoneOf(zone: string | undefined): string | null {
  if (zone === undefined) return null;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    throw new Problem(
      422,
      'unknown_zone',
      `There is no time zone '${zone}': write an IANA name, Europe/Berlin.`,
    );
  }
}

/** Throws Problem where the parts are not those of the view. */
const keyOf = (view: View, given: z.output<typeof entitySchema>): string =>
  keyOfParts(entityParts(view, given));

/** Texts of the fields of a key, in the order that the view declares. Throws Problem where they are not those of the view. */
export function entityParts(view: View, given: z.output<typeof entitySchema>): string[] {
  const parts = partsOf(view, given);
  if (parts !== null) return parts;
  throw new Problem(
    422,
    'bad_entity',
    `${JSON.stringify(given)} is no entity of ${view.name}, whose key is ${view.entity.join('|')}.`,
  );
}

function partsOf({ entity }: View, given: z.output<typeof entitySchema>): string[] | null {
  if (typeof given === 'string') {
    const parts = entity.length === 1 ? [given] : given.split('|');
    return parts.length === entity.length ? parts : null;
  }
  const names = Object.keys(given);
  if (names.length !== entity.length || !entity.every((field) => Object.hasOwn(given, field))) return null;
  return entity.map((field) => String(given[field]));
}

const WHY = {
  behind: 'is older than what the online store keeps: ask POST /v1/history',
  no_frontier:
    'cannot be told yet (some seconds after the first events it can; if not, look whether ingest and features run)',
  torn: 'cannot be told until the state is rebuilt, which features does by itself',
} as const;

function refused(view: View, answer: FeatureAnswer | undefined): Problem {
  const reason = answer?.status === 'refused' ? answer.reason : 'no_frontier';
  return new Problem(409, reason, `This of view ${view.name} ${WHY[reason]}.`);
}
