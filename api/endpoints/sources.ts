import { z } from 'zod';
import { readPauses, resumeSource, sentenceOf } from '../../streams/ingest/pause.ts';
import type { ApiDeps } from '../deps.ts';
import { sourceOf } from '../find.ts';
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
