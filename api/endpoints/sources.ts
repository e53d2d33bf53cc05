import { z } from 'zod';
import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { rawTopic } from '../../schemas/names.ts';
import { readPauses, resumeSource, sentenceOf } from '../../streams/ingest/pause.ts';
import { recordAt } from '../../streams/runtime/topic.ts';
import type { ApiDeps } from '../deps.ts';
import { sourceOf } from '../find.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, nameSchema, reasonSchema } from '../schemas.ts';
import { authorOf } from './models.ts';

const pausesSchema = z.object({
  sources: z.array(
    z.object({
      source: z.string(),
      paused: z
        .object({
          since: epochMs,
          code: z.string().describe('What the record that is next would be refused with.'),
          sentence: z.string(),
        })
        .nullable(),
    }),
  ),
});

/** A whole number in the path, from 0 on. */
const place = (digits: number) =>
  z
    .string()
    .regex(new RegExp(`^\\d{1,${digits}}$`), 'is no whole number from 0 on')
    .transform(Number);

const recordSchema = z.object({
  topic: z.string(),
  partition: z.number().int(),
  offset: z.number().int(),
  appendTime: epochMs.describe('When the broker appended it.'),
  key: z.string().nullable().describe('base64'),
  value: z.string().nullable().describe('The record as its producer sent it, base64.'),
});

export function sourceRoutes(deps: ApiDeps): Route[] {
  const { project } = deps;
  return [
    route({
      method: 'GET',
      path: '/v1/sources',
      name: 'listSources',
      tag: 'sources',
      summary: 'The sources, and which of them are paused, since too many of their records were refused',
      access: LOOK,
      answers: [{ status: 200, description: 'All.', schema: pausesSchema }],
      handle: async () => {
        const names = project.sources.map(({ name }) => name);
        const pauses = await readPauses(deps, names);
        return {
          sources: names.map((source) => {
            const pause = pauses.get(source);
            if (pause === undefined) return { source, paused: null };
            const { since, code } = pause;
            return { source, paused: { since, code, sentence: sentenceOf(source, pause) } };
          }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/sources/{source}/records/{partition}/{offset}',
      name: 'getRawRecord',
      tag: 'sources',
      summary: 'One record of a source as its producer sent it',
      description: 'From the raw topic, as long as that keeps it.',
      access: LOOK,
      params: z.strictObject({
        source: nameSchema,
        partition: place(6),
        offset: place(15),
      }),
      answers: [{ status: 200, description: 'The record.', schema: recordSchema }],
      problems: { 404: 'There is no such source, or its topic has no such record, or no longer.' },
      handle: async ({ params: { source, partition, offset } }) => {
        const topic = rawTopic(project.prefix, sourceOf(project, source));
        const record = await recordAt(deps.kafka, topic, partition, offset);
        if (record === null)
          throw new Problem(
            404,
            'unknown_record',
            `${topic} has no record ${partition}:${offset}: it was never there, or the topic does not keep it any more.`,
          );
        return { topic, partition, offset, appendTime: record.appendTime, ...inBase64(record) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/sources/{source}/resume',
      name: 'resumeSource',
      tag: 'sources',
      summary: 'Read a paused source on, as it is declared',
      description: 'Ingest goes on within a second, and counts refusals anew.',
      access: CHANGE,
      params: z.strictObject({ source: nameSchema }),
      body: { json: z.strictObject({ reason: reasonSchema }) },
      answers: [
        {
          status: 200,
          description: 'Whether it was paused.',
          schema: z.object({ source: z.string(), resumed: z.boolean() }),
        },
      ],
      problems: { 404: 'There is no such source.' },
      changes: true,
      handle: async ({ params, body, caller }) => {
        const { name } = sourceOf(project, params.source);
        const pause = await resumeSource(deps, name, `${body.reason.trim()} (${authorOf(caller)})`);
        return { source: name, resumed: pause !== null };
      },
    }),
  ];
}

const base64 = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('base64');

const inBase64 = ({ key, value }: Pick<KafkaRecord, 'key' | 'value'>) => ({
  key: base64(key),
  value: base64(value),
});
