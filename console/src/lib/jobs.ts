import type { FeatureSummary } from '../../../models/feature-summary.ts';
import type { Answers } from './answers.ts';
import { ApiProblem, get } from './api.ts';

type Job = Answers['getJob'];

export interface Trial {
  readonly view: string;
  readonly replaces: boolean;
  readonly same: boolean;
  readonly reads: number;
  readonly entities: number;
  readonly events: number;
  readonly ms: number;
  readonly cost: { readonly worstTiles: number; readonly worstBytes: number };
  readonly features: readonly FeatureSummary[];
  /** What the project's view says at the same events; null where there is nothing to compare. */
  readonly before: readonly FeatureSummary[] | null;
}

const LOOK_EVERY_MS = 400;

/** Waits for a job and reads its result, JSON of one line. Throws ApiProblem where it failed. */
export async function jobResult<T>(
  id: string,
  onProgress: (doing: string) => void = () => {},
  signal?: AbortSignal,
): Promise<T> {
  for (;;) {
    const job = await get<Job>(`/v1/jobs/${id}`, signal);
    if (job.error !== null) throw new ApiProblem(409, job.error.code, job.error.detail);
    if (job.finishedAt !== null) break;
    onProgress(job.doing);
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
  const result = await fetch(`/v1/jobs/${id}/result`, signal === undefined ? {} : { signal });
  return JSON.parse((await result.text()).trim()) as T;
}
