import { z } from 'zod';
import { JOB_STATES, type JobStatus } from '../jobs/jobs.ts';
import { Reply } from '../route.ts';
import { epochMs } from '../schemas.ts';

export const jobSchema = z.object({
  id: z.string(),
  kind: z.string(),
  by: z.string(),
  state: z.enum(JOB_STATES),
  createdAt: epochMs,
  startedAt: epochMs.nullable(),
  finishedAt: epochMs.nullable(),
  doing: z.string().describe('For a person.'),
  done: z.number(),
  total: z.number().nullable().describe('Null: not known.'),
  error: z.object({ code: z.string(), detail: z.string() }).nullable(),
  result: z
    .object({ type: z.string(), bytes: z.number() })
    .nullable()
    .describe('GET /v1/jobs/{job}/result gives it.'),
});

export const begun = [
  { status: 202, description: 'The job; look after it at GET /v1/jobs/{job}.', schema: jobSchema },
];
export const busy = 'As many jobs wait as may.';
export const accepted = (status: JobStatus) => new Reply(202, status, { location: `/v1/jobs/${status.id}` });
