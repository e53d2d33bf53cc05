import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { Problem } from '../problem.ts';

export interface BodyBudget {
  /** Takes room for a request's body until its answer is closed; throws Problem where there is none. */
  hold(headers: IncomingHttpHeaders, limit: number, response: ServerResponse): void;
  readonly held: number;
}

/** All bodies together: each has its limit, and many of them at once would still fill the memory. */
export function createBodyBudget(most: number): BodyBudget {
  let held = 0;
  return {
    get held() {
      return held;
    },
    hold(headers, limit, response) {
      const declared = Number(headers['content-length'] ?? Number.NaN);
      const bytes = Number.isFinite(declared)
        ? Math.min(declared, limit)
        : headers['transfer-encoding'] === undefined
          ? 0
          : limit;
      if (bytes === 0) return;
      if (held + bytes > most)
        throw new Problem(503, 'busy', 'Too many large requests are under way; send it again in a moment.', {
          headers: { 'retry-after': '1' },
        });
      held += bytes;
      response.once('close', () => {
        held -= bytes;
      });
    },
  };
}
