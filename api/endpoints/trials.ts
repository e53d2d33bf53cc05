import { z } from 'zod';
import { ConfigError } from '../../config/load.ts';
import type { Trial } from '../declarations.ts';
import type { ApiDeps } from '../deps.ts';
import { viewOf } from '../find.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { runTrial } from '../jobs/trial.ts';
import { Problem } from '../problem.ts';
import { CHANGE, LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { nameSchema } from '../schemas.ts';
import { accepted, begun, busy } from './job-answers.ts';
import { authorOf } from './models.ts';

const MOST_READS = 20_000;

const nowhere = () =>
  new Problem(
    409,
    'no_declarations',
    'This server does not have the files of the project: use millrace try.',
  );

/** A view is tried on history before it is applied. */
export function trialRoutes(deps: ApiDeps, jobs: Jobs): Route[] {
  const { project, declarations } = deps;
  return [
    route({
      method: 'GET',
      path: '/v1/views/{view}/declaration',
      name: 'getDeclaration',
      tag: 'project',
      summary: 'A view as it is written',
      access: LOOK,
      params: z.strictObject({ view: nameSchema }),
      answers: [{ status: 200, description: 'YAML.', schema: z.object({ text: z.string() }) }],
      problems: { 409: 'The server does not have the files.' },
      handle: async ({ params }) => {
        const { name } = viewOf(project, params.view);
        const text = declarations?.text(name);
        if (text === undefined || text === null) throw nowhere();
        return { text };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/try',
      name: 'tryView',
      tag: 'jobs',
      summary: 'Try a view on history before it is applied',
      description:
        'Its values at the last events that have its key, read from the archive as live would have read them, beside those of the view that it would replace, and its cost. A job whose result is JSON; nothing is changed. `millrace try` says what a model would gain, too.',
      access: CHANGE,
      body: {
        json: z.strictObject({
          declaration: z.string().min(1).max(200_000).describe('YAML of a view.'),
          reads: z.int().min(1).max(MOST_READS).default(2_000).describe('At so many of the last events.'),
        }),
        example: {
          declaration:
            'view: card\nentity: [card]\nresolution: 1s\nfeatures:\n  - { name: payments, aggregation: count, windows: [1m] }\n',
        },
      },
      answers: begun,
      problems: {
        409: 'The server does not have the files.',
        422: 'The declaration is wrong: the detail says where, and what to do.',
        503: busy,
      },
      handle: async ({ body, caller }) => {
        const trial = compiled(deps, body.declaration);
        return accepted(
          jobs.start({
            kind: 'try',
            by: authorOf(caller),
            type: 'application/json',
            run: (work) => runTrial(deps, trial, body.reads, work),
          }),
        );
      },
    }),
  ];
}

/** Throws Problem with everything that is wrong. */
function compiled({ declarations }: ApiDeps, text: string): Trial {
  if (declarations === null) throw nowhere();
  try {
    return declarations.trial(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const errors = error.problems.map(({ line, column, message, mend }) => ({
      where: `declaration:${line}:${column}`,
      message: `${message} ${mend}`.trim(),
    }));
    const [first] = errors;
    throw new Problem(
      422,
      'bad_declaration',
      first === undefined ? error.message : `${first.where}: ${first.message}`,
      {
        errors,
        cause: error,
      },
    );
  }
}
