import { z } from 'zod';
import { compileFix } from '../../config/fix.ts';
import { ConfigError } from '../../config/problems.ts';
import { CAME_AT, quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { dryRun } from '../../streams/letters/dry-run.ts';
import { createFix } from '../../streams/letters/fix.ts';
import { GROUP_OUTCOMES, totalOf } from '../../streams/letters/groups.ts';
import type { Fix } from '../../streams/letters/letter.ts';
import { LettersBusy, replayLetters } from '../../streams/letters/replay.ts';
import type { ApiDeps } from '../deps.ts';
import { sourceOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, limitQuery, nameSchema, reasonSchema, timeSchema } from '../schemas.ts';
import { authorOf } from './models.ts';

const letterSchema = z.object({
  source: z.string(),
  stage: z.string(),
  code: z.string(),
  detail: z.string(),
  writer: z.string(),
  topic: z.string(),
  partition: z.number().int(),
  offset: z.number(),
  appendTime: epochMs,
  eventId: z.string().nullable(),
  eventTime: epochMs.nullable(),
  value: z.string().nullable().describe('The raw record, base64; null where a view refused a contribution.'),
});

export function deadLetterRoutes(deps: ApiDeps): Route[] {
  const { project, warehouse } = deps;
  const table = (source: string) => quoteName(tables.deadLetters(project.prefix, source));
  return [
    route({
      method: 'GET',
      path: '/v1/dead-letters',
      name: 'countDeadLetters',
      tag: 'dead letters',
      summary: 'Records that were not taken, counted by reason',
      access: LOOK,
      answers: [
        {
          status: 200,
          description: 'Counts.',
          schema: z.object({
            reasons: z.array(
              z.object({
                source: z.string(),
                stage: z.string(),
                code: z.string(),
                records: z.number().int(),
                first: epochMs,
                last: epochMs,
              }),
            ),
          }),
        },
      ],
      handle: async () => {
        const counted = await Promise.all(
          project.sources.map(({ name }) =>
            warehouse.query<object>(
              `SELECT {source:String} AS source, stage, code, count() AS records,
                 toUnixTimestamp64Milli(min(${CAME_AT})) AS first, toUnixTimestamp64Milli(max(${CAME_AT})) AS last
               FROM ${table(name)} FINAL GROUP BY stage, code ORDER BY records DESC, code`,
              { source: name },
            ),
          ),
        );
        return { reasons: counted.flat() };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/dead-letters/{source}',
      name: 'listDeadLetters',
      tag: 'dead letters',
      summary: 'The newest records of a source that were not taken, whole',
      access: LOOK,
      params: z.strictObject({ source: nameSchema }),
      query: z.strictObject({
        code: nameSchema.optional().describe('Only this reason: late.'),
        limit: limitQuery(500, 20),
      }),
      answers: [
        { status: 200, description: 'Letters.', schema: z.object({ letters: z.array(letterSchema) }) },
      ],
      handle: async ({ params, query }) => {
        const source = sourceOf(project, params.source);
        const letters = await warehouse.query<object>(
          `SELECT {source:String} AS source, stage, code, detail, writer, source_topic AS topic, source_partition AS partition,
             source_offset AS offset, toUnixTimestamp64Milli(${CAME_AT}) AS appendTime, event_id AS eventId,
             toUnixTimestamp64Milli(event_time) AS eventTime, base64Encode(value) AS value
           FROM (SELECT * FROM ${table(source.name)} FINAL
             WHERE {code:String} = '' OR code = {code:String}
             ORDER BY refused_time DESC, source_partition, source_offset DESC LIMIT {limit:UInt32})`,
          { source: source.name, code: query.code ?? '', limit: query.limit },
        );
        return { letters };
      },
    }),
    replayRoute(deps),
  ];
}

const replayBody = z.strictObject({
  dry_run: z.boolean().describe('Only tell what would become of them; false does it.'),
  reason: reasonSchema,
  source: nameSchema.optional().describe('One source; default: all.'),
  code: nameSchema.optional().describe('Only letters that were refused so: rule_failed.'),
  since: timeSchema.optional().describe('Only those refused from here.'),
  event: z.string().min(1).max(10_000).optional().describe('Only this event.'),
  limit: z.int().min(1).max(100_000).default(10_000).describe('How many of a source, the oldest first.'),
  effect: z
    .boolean()
    .default(false)
    .describe(
      'With a dry run: which features and decisions would change. Reads the archive as far back as windows reach.',
    ),
  fix: z
    .record(z.string(), z.unknown())
    .optional()
    .describe(
      'Mends their events, as the command\'s --fix does: `{fix: cents, where: "amount > 100", set: {amount: "amount / 100"}}`. Needs `source`.',
    ),
});

const changeSchema = z
  .object({
    of: z.string().describe('Entity and feature, or a request.'),
    before: z.number().nullable(),
    after: z.number().nullable(),
  })
  .nullable();

const effectSchema = z.object({
  features: z.array(
    z.object({
      view: z.string(),
      entities: z.number().int().describe('That the events are about.'),
      looked: z.number().int().describe('Of them, that were read.'),
      changed: z.array(z.object({ feature: z.string(), entities: z.number().int() })),
      example: changeSchema,
    }),
  ),
  decisions: z.array(
    z.object({
      model: z.string(),
      asked: z.number().int().describe('Requests among the letters that would be answered.'),
      looked: z.number().int().describe('Past requests after the first of the events, of the same entities.'),
      vectors: z.number().int().describe('Of them, that would have had other features.'),
      decisions: z
        .number()
        .int()
        .nullable()
        .describe(
          'Of them, that the champion would have decided otherwise; null without a champion. Past answers stay as they are.',
        ),
      example: changeSchema,
    }),
  ),
});

const replaySchema = z.object({
  applied: z.boolean(),
  sent: z.number().int().describe('Sent to the raw topic again.'),
  history: z.number().int().describe('Too late for live; put into history.'),
  letters: z.array(
    z.object({
      source: z.string(),
      reason: z.string().describe('Code that they were refused with.'),
      outcome: z
        .enum(GROUP_OUTCOMES)
        .describe(
          'live: accepted now; late: history alone can take them; refused: again; repeat: of an accepted event; done: came back before; exhausted: refused three times; gone: cannot come back; imported: rows of a file, told by a dry run.',
        ),
      code: z.string().nullable().describe('Code that they would be refused with again.'),
      letters: z.number().int(),
      example: z.string().describe('Id of an event, or partition and offset of a record that holds none.'),
    }),
  ),
  effect: effectSchema.nullable(),
});

/** One replay of a process looks at letters at a time: each holds them in memory. */
function replayRoute(deps: ApiDeps): Route {
  const { project, clock } = deps;
  let busy = false;
  return route({
    method: 'POST',
    path: '/v1/dead-letters/replay',
    name: 'replayDeadLetters',
    tag: 'dead letters',
    summary: 'Send dead letters again that would be accepted now, or only tell what would become of them',
    description: 'A letter comes back once, however often this is called. Late ones go into history.',
    access: CHANGE,
    body: { json: replayBody, example: { dry_run: true, reason: 'the rule is mended', code: 'rule_failed' } },
    answers: [{ status: 200, description: 'What became of them, or would.', schema: replaySchema }],
    problems: { 404: 'There is no such source.', 409: 'A replay runs.', 422: 'The fix is wrong.' },
    timeoutMs: 300_000,
    changes: true,
    handle: async ({ body, caller }) => {
      const sources = body.source === undefined ? project.sources : [sourceOf(project, body.source)];
      const fix = fixOf(deps, sources, body.fix);
      const { code = null, since = null, event = null, limit } = body;
      const selection = { reason: code, since, event, limit };
      if (busy)
        throw new Problem(409, 'letters_busy', 'Another replay of dead letters is being worked here.');
      busy = true;
      try {
        const by = { reason: body.reason.trim(), who: authorOf(caller) };
        const replays = sources.map((source) => ({ source, selection, fix, ...by }));
        if (body.dry_run) {
          const found = await dryRun({ ...deps, now: clock.now() }, replays, body.effect);
          return { applied: false, sent: 0, history: 0, ...found };
        }
        const done = await replayLetters(deps, replays).catch((error: unknown) => {
          throw error instanceof LettersBusy ? new Problem(409, error.code, error.message) : error;
        });
        return { applied: true, ...totalOf(done), effect: null };
      } finally {
        busy = false;
      }
    },
  });
}

function fixOf(
  { project }: ApiDeps,
  [source, other]: readonly Source[],
  fix: Readonly<Record<string, unknown>> | undefined,
): Fix | null {
  if (fix === undefined) return null;
  if (source === undefined || other !== undefined)
    throw new Problem(422, 'bad_fix', "A fix is made for one source: name it as 'source'.");
  try {
    return createFix(source, project.prefix, compileFix('fix', JSON.stringify(fix), source));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map(({ message, mend }) => `${message} ${mend}`.trim());
    throw new Problem(422, 'bad_fix', problems.join(' '));
  }
}
