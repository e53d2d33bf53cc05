import { z } from 'zod';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { keyOfParts } from '../../processors/entity-key.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import type { ApiDeps } from '../deps.ts';
import { sourcesWithKey, viewOf } from '../find.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, limitQuery, nameSchema, scalarSchema, timeQuery } from '../schemas.ts';
import { entityParts } from './features.ts';
import { clamped } from './predictions.ts';

const eventSchema = z.object({
  source: z.string(),
  id: z.string(),
  type: z.string(),
  time: epochMs,
  imported: z.boolean().describe('It came from imported history, not through Kafka.'),
  partition: z.number().int(),
  offset: z.number().describe('In the raw topic, or row of the imported file.'),
  fields: z.record(z.string(), scalarSchema),
});

const entitySchema = z.object({
  entity: z.string().describe('Key, as for its features.'),
  events: z.number().int().describe('Of those that were looked at.'),
  last: epochMs.describe('Event time of its newest event.'),
});

/** Newest events of each source that are looked at for entities. */
const LOOKED_AT = 20_000;

export function entityEventRoutes({ project, warehouse }: Pick<ApiDeps, 'project' | 'warehouse'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/features/{view}/entities',
      name: 'listEntities',
      tag: 'features',
      summary: 'Entities of a view that had events lately, those with most events first',
      description: `From the archive: counted in the newest ${LOOKED_AT.toLocaleString('en')} events of each source that has the key.`,
      access: LOOK,
      params: z.strictObject({ view: nameSchema }),
      query: z.strictObject({ limit: limitQuery(1_000, 24) }),
      answers: [
        { status: 200, description: 'Entities.', schema: z.object({ entities: z.array(entitySchema) }) },
      ],
      handle: async ({ params, query }) => {
        const view = viewOf(project, params.view);
        const found = await Promise.all(
          sourcesWithKey(project, view).map((source) =>
            entitiesOf(project.prefix, source, view, query.limit, warehouse),
          ),
        );
        return { entities: merged(found.flat()).slice(0, query.limit) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/features/{view}/events',
      name: 'listEntityEvents',
      tag: 'features',
      summary: 'The events of an entity, the newest first',
      description:
        'From the archive: accepted events of the sources of the view that have the key of the entity.',
      access: LOOK,
      params: z.strictObject({ view: nameSchema }),
      query: z.strictObject({
        entity: z.string().min(1).max(1_000).describe('As for its features.'),
        to: timeQuery.optional().describe('Only events before this event time.'),
        limit: limitQuery(1_000, 100),
      }),
      answers: [{ status: 200, description: 'Events.', schema: z.object({ events: z.array(eventSchema) }) }],
      problems: { 422: 'The key has another number of parts.' },
      handle: async ({ params, query }) => {
        const view = viewOf(project, params.view);
        const parts = entityParts(view, query.entity);
        const before = clamped(query.to ?? Number.MAX_SAFE_INTEGER);
        const found = await Promise.all(
          sourcesWithKey(project, view).map((source) =>
            eventsOf(project.prefix, source, view, parts, before, query.limit, warehouse),
          ),
        );
        const events = found.flat().sort((a, b) => b.time - a.time);
        return { events: events.slice(0, query.limit) };
      },
    }),
  ];
}

type Entity = z.output<typeof entitySchema>;

/** Of entities that several sources tell of, the sum. */
function merged(found: readonly Entity[]): Entity[] {
  const all = new Map<string, Entity>();
  for (const { entity, events, last } of found) {
    const before = all.get(entity);
    all.set(entity, {
      entity,
      events: events + (before?.events ?? 0),
      last: Math.max(last, before?.last ?? last),
    });
  }
  return [...all.values()].sort((a, b) => b.events - a.events || (a.entity < b.entity ? -1 : 1));
}

async function entitiesOf(
  prefix: string,
  source: Source,
  view: View,
  limit: number,
  warehouse: ApiDeps['warehouse'],
): Promise<Entity[]> {
  const keys = view.entity.map(quoteName);
  const rows = await warehouse.query<{ parts: string[]; events: number; last: number }>(
    `SELECT [${keys.map((key) => `assumeNotNull(toString(${key}))`).join(', ')}] AS parts, toFloat64(uniqExact(id)) AS events,
       toUnixTimestamp64Milli(max(time)) AS last
     FROM (SELECT * FROM ${quoteName(tables.events(prefix, source.name))} ORDER BY time DESC LIMIT {looked:UInt32})
     WHERE ${keys.map((key) => `${key} IS NOT NULL`).join(' AND ')}
     GROUP BY parts ORDER BY events DESC, parts LIMIT {limit:UInt32}`,
    { looked: LOOKED_AT, limit },
  );
  return rows.map(({ parts, events, last }) => ({ entity: keyOfParts(parts), events, last }));
}

interface Row {
  readonly id: string;
  readonly type: string;
  readonly time: number;
  readonly imported: number;
  readonly partition: number;
  readonly offset: number;
  readonly [field: `field_${number}`]: string | number | boolean | null;
}

async function eventsOf(
  prefix: string,
  source: Source,
  view: View,
  parts: readonly string[],
  before: number,
  limit: number,
  warehouse: ApiDeps['warehouse'],
): Promise<Array<z.input<typeof eventSchema>>> {
  const { fields } = source;
  const columns = fields.map(({ name, type }, i) => {
    const column = quoteName(name);
    return `${type === 'timestamp' ? `toUnixTimestamp64Milli(${column})` : column} AS field_${i}`;
  });
  const rows = await warehouse.query<Row>(
    `SELECT id, type, toUnixTimestamp64Milli(time) AS time, import_id != '' AS imported,
       source_partition AS partition, source_offset AS offset${columns.map((one) => `, ${one}`).join('')}
     FROM (SELECT * FROM ${quoteName(tables.events(prefix, source.name))} FINAL
       WHERE time < fromUnixTimestamp64Milli({before:Int64}, 'UTC')
         AND ${view.entity.map((field, i) => `toString(${quoteName(field)}) = {part${i}:String}`).join(' AND ')}
       ORDER BY time DESC, source_partition, source_offset DESC LIMIT {limit:UInt32})
     ORDER BY time DESC, partition, offset DESC`,
    { before, limit, ...Object.fromEntries(parts.map((part, i) => [`part${i}`, part])) },
  );
  return rows.map((row) => ({
    source: source.name,
    id: row.id,
    type: row.type,
    time: row.time,
    imported: Boolean(row.imported),
    partition: row.partition,
    offset: row.offset,
    // JSON holds no NaN: ClickHouse writes it as text.
    fields: Object.fromEntries(fields.map(({ name }, i) => [name, row[`field_${i}`] ?? null])),
  }));
}
