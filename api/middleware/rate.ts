/** Requests a second that one caller may make, and how many at once after a pause. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Callers that are remembered; past it the one that asked longest ago is forgotten, with what it had used up. */
const MOST_CALLERS = 10_000;

/** Token bucket by caller. Answers 0 where the request may go, else the ms until it may. */
export function createRateLimit({ perSecond, burst }: Rate, now: () => number): (caller: string) => number {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (caller) => {
    const time = now();
    let bucket = buckets.get(caller);
    if (bucket === undefined) {
      if (buckets.size >= MOST_CALLERS) {
        const oldest = buckets.keys().next().value;
        if (oldest !== undefined) buckets.delete(oldest);
      }
      bucket = { tokens: burst, at: time };
      buckets.set(caller, bucket);
    }
    bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, time - bucket.at) * perSecond) / 1_000);
    bucket.at = time;
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - bucket.tokens) * 1_000) / perSecond);
  };
}
