import { z } from 'zod';
import { readStepLog } from '../../pipelines/runs/step-log.ts';
import type { ApiDeps } from '../deps.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { epochMs, limitQuery, nameSchema } from '../schemas.ts';

const lineSchema = z.object({
  attempt: z.number().int(),
  at: epochMs.describe('Wall clock.'),
  kind: z.enum(['begun', 'note', 'error']).describe('`begun`: the text is who took it.'),
  text: z.string(),
});

export function stepLogRoutes({ project, warehouse }: ApiDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/pipeline-runs/{run}/steps/{step}/log',
      name: 'getStepLog',
      tag: 'pipelines',
      summary: 'What a step of a run said, try after try, the newest last',
      description:
        'From the archive: who began it, how far it was (once a second at most), what it came to, why a try failed. Empty where it has not begun.',
      access: LOOK,
      params: z.strictObject({ run: z.string().min(1).max(300), step: nameSchema }),
      query: z.strictObject({ limit: limitQuery(1_000, 300) }),
      answers: [{ status: 200, description: 'Lines.', schema: z.object({ lines: z.array(lineSchema) }) }],
      handle: async ({ params: { run, step }, query: { limit } }) => ({
        lines: await readStepLog(warehouse, project.prefix, { run, step, limit }),
      }),
    }),
  ];
}
